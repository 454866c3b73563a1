"""A group of commands that prints its help when called without arguments, and suggests mistyped commands."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli._usage import did_you_mean

_FEW = 3


class Group(click.Group):
    """A group that prints its help and exits with 0 when called without arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Print the help if there are no arguments."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; the error for an unknown command suggests a similar one."""
        word, known = args[0], self.list_commands(ctx)
        if ctx.resilient_parsing or word in known or self.get_command(ctx, word) is not None:
            return super().resolve_command(ctx, args)
        text = f"unknown command {word!r}{did_you_mean(word, known) or _one_of(known)}"
        if ctx.parent is None and Path(word).is_file():
            text += f"; to look into that file, use onepass inspect {click.format_filename(word)}"
        raise click.UsageError(text, ctx)


def _one_of(known: list[str]) -> str:
    """List the commands of a small group."""
    return f"; expected {' or '.join(known)}" if len(known) <= _FEW else ""
