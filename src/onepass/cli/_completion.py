"""Completion of commands, options and files by bash, zsh and fish; see docs/commands.md."""

from __future__ import annotations

import re

import click
from click.shell_completion import CompletionItem, shell_complete

# Parameters whose values are files say so in their metavar.
_FILES = re.compile(r"\b(FILE|FOLDER|PATH|REPO|MODEL|SOURCE|INPUTS|ENGINE|FIRST|SECOND)\b")


def completion(cli: click.Command, asked: str) -> int:
    """Print what a shell asks for, the script that it sources or possible words, and return the exit status.

    Args:
        cli: The program.
        asked: Value of the variable that the shell sets, such as ``bash_source`` or ``zsh_complete``.
    """
    return shell_complete(cli, {}, "onepass", "_ONEPASS_COMPLETE", asked)


def complete_files(command: click.Command) -> None:
    """Let a command, and the commands in it, complete files wherever a parameter takes a file by name.

    click does so by itself for `click.Path` only. Words such as ``NAME=FILE`` and ``MODEL@cuda`` are plain text to it.
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
    """Text that is, or ends in, the name of a file."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Leave the word to the shell, which completes files."""
        return [CompletionItem(incomplete, type="file")]
