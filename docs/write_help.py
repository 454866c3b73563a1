"""Write docs/help.md, the help of every command: python docs/write_help.py. A test checks that it is up to date."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli import cli

_TARGET = Path(__file__).with_name("help.md")
_WIDTH = 100


def help_page(*, width: int = _WIDTH) -> str:
    """Return the page: the program, then each command, and the commands of that, in their own order."""
    parts = ["# Help of every command", *_sections(cli, "onepass", None, width)]
    return "\n\n".join(parts) + "\n"


def _sections(command: click.Command, name: str, parent: click.Context | None, width: int) -> list[str]:
    settings = {**command.context_settings, "info_name": name.rsplit(maxsplit=1)[-1], "terminal_width": width}
    context = click.Context(command, parent=parent, **settings)
    parts = [f"## {name}", f"```text\n{command.get_help(context).rstrip()}\n```"]
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            if child is not None:
                parts += _sections(child, f"{name} {each}", context, width)
    return parts


if __name__ == "__main__":
    _TARGET.write_text(help_page(), encoding="utf-8")
