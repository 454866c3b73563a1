"""Shell completion of commands, options and files for bash, zsh and fish; see docs/commands.md."""

from __future__ import annotations

import re

import click
from click.shell_completion import CompletionItem, shell_complete

# The metavar of a parameter shows whether its value is a file.
_FILES = re.compile(r"\b(FILE|FOLDER|PATH|REPO|MODEL|SOURCE|INPUTS|ENGINE|FIRST|SECOND)\b")


def completion(cli: click.Command, asked: str) -> int:
    """Print the shell's script, or possible words, and return the exit status.

    Args:
        cli: The program.
        asked: The value of ``_ONEPASS_COMPLETE``, such as ``bash_source`` or ``zsh_complete``.
    """
    return shell_complete(cli, {}, "onepass", "_ONEPASS_COMPLETE", asked)


def complete_files(command: click.Command) -> None:
    """Make a command, and the commands in it, complete files for every parameter that takes a file.

    click does this only for `click.Path`. To click, words such as ``NAME=FILE`` and ``MODEL@cuda`` are plain text.
    """
    for parameter in command.params:
        name = parameter.metavar or (parameter.name or "").upper()
        if isinstance(parameter.type, click.types.StringParamType) and _FILES.search(name):
            parameter.type = _FileWord()
    if isinstance(command, click.Group):
        for each in ("", *command.commands):
            child = command.get_command(click.Context(command), each)
            if child is not None:
                complete_files(child)


class _FileWord(click.types.StringParamType):
    """Text that is, or ends in, a file name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Let the shell complete file names."""
        return [CompletionItem(incomplete, type="file")]
