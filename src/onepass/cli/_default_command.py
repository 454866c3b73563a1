"""A group with a command that runs where no other is named: ``onepass gaze SOURCE`` beside ``onepass gaze models``."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from onepass.cli._group import Group


class _ChildContext(click.Context):
    """Names the default command as the group is named, since that is what the user writes."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent is not None else super().command_path


class DefaultCommand(click.Command):
    """The command that a `DefaultGroup` runs where no other is named."""

    context_class = _ChildContext


class DefaultGroup(Group):
    """A group whose first word is either one of its commands or the beginning of the default command's words.

    Its help is the default command's, with the list of the others below.
    """

    def __init__(self, *arguments: Any, default: click.Command, **settings: Any) -> None:
        """Make a group.

        Args:
            *arguments: As for `click.Group`.
            default: The command to run; its options are the group's own.
            **settings: As for `click.Group`.
        """
        super().__init__(*arguments, help=default.help, **settings)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's (empty) name before words that begin with none."""
        own = {*self.commands, *ctx.help_option_names}
        completing = ctx.resilient_parsing and not args  # any word may follow
        return super().parse_args(ctx, args if completing or (args and args[0] in own) else ["", *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; the default one has no name."""
        return super().get_command(ctx, cmd_name) if cmd_name else self._whole_default()

    def _whole_default(self) -> click.Command:
        """Return the default command with the options that were given to the group."""
        mine = {parameter.name for parameter in self._default.params}
        self._default.params += [parameter for parameter in self.params if parameter.name not in mine]
        return self._default

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the first word: what the default command takes, or the name of a command."""
        if incomplete.startswith("-"):
            return self._whole_default().shell_complete(ctx, incomplete)
        first = next(each for each in self._default.params if isinstance(each, click.Argument))
        return [*first.shell_complete(ctx, incomplete), *super().shell_complete(ctx, incomplete)]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write how the default command is used, and that there are others."""
        formatter.write_usage(ctx.command_path, " ".join(self._default.collect_usage_pieces(ctx)))
        if self.commands:
            formatter.write_usage(ctx.command_path, "COMMAND ...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default command's options, and the other commands."""
        self._whole_default().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
