"""A group with a default command: ``onepass gaze SOURCE`` beside ``onepass gaze models``."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from onepass.cli._group import Group


class _ChildContext(click.Context):
    """Shows the default command under the group's name, which is what the user types."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent is not None else super().command_path


class DefaultCommand(click.Command):
    """The command that a `DefaultGroup` runs if no other is named."""

    context_class = _ChildContext


class DefaultGroup(Group):
    """A group whose first word is one of its commands, or the first argument of the default command.

    Its help is the default command's, followed by a list of the other commands.
    """

    def __init__(self, *arguments: Any, default: click.Command, **settings: Any) -> None:
        """Make a group.

        Args:
            *arguments: As for `click.Group`.
            default: The default command; its options are also the group's.
            **settings: As for `click.Group`.
        """
        super().__init__(*arguments, help=default.help, **settings)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the default command's (empty) name where the first word is not a command."""
        own = {*self.commands, *ctx.help_option_names}
        completing = ctx.resilient_parsing and not args  # the first word is still to come
        return super().parse_args(ctx, args if completing or (args and args[0] in own) else ["", *args])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; the default command has no name."""
        return super().get_command(ctx, cmd_name) if cmd_name else self._whole_default()

    def _whole_default(self) -> click.Command:
        """Return the default command, with the group's own options added."""
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
        """Write the usage of the default command, and of the others."""
        formatter.write_usage(ctx.command_path, " ".join(self._default.collect_usage_pieces(ctx)))
        if self.commands:
            formatter.write_usage(ctx.command_path, "COMMAND ...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the default command, and the list of the other commands."""
        self._whole_default().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
