"""``onepass cache``."""

from __future__ import annotations

import json
from datetime import datetime

import click

from onepass._printable import counted
from onepass.builder import cache_entries, cache_folder, clear_cache
from onepass.cli._group import Group
from onepass.cli._tables import bytes_text, console, escape, show, table


@click.group("cache", cls=Group)
def command() -> None:
    """Show or empty the engine cache, which `onepass build --cache` fills.

    The cache is in the user's cache folder, or in the folder that the environment variable ONEPASS_CACHE names.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List the engines in the cache, most recently used first."""
    entries = cache_entries()
    if as_json:
        facts = [
            {
                "key": entry.key,
                "size_bytes": entry.size_bytes,
                "used_seconds": entry.used_seconds,
                **entry.plan.to_json(),
            }
            for entry in entries
        ]
        click.echo(json.dumps({"folder": str(cache_folder()), "engines": facts}, indent=2))
        return
    out = console()
    total = bytes_text(sum(entry.size_bytes for entry in entries))
    out.print(f"{cache_folder()}: {counted(len(entries), 'engine')}, {total}", markup=False, soft_wrap=True)
    if entries:
        rows = table("", "key", "size", "last used", "built with", "options", "outputs")
        for entry in entries:
            used = datetime.fromtimestamp(entry.used_seconds).astimezone().strftime("%Y-%m-%d %H:%M")
            built = f"{entry.plan.flavor} {entry.plan.version}" + (f", {entry.plan.gpu}" if entry.plan.gpu else "")
            names = ", ".join(entry.plan.signature.output_names)
            options = json.dumps(dict(entry.plan.options))
            rows.add_row(entry.key[:12], bytes_text(entry.size_bytes), used, built, escape(options), escape(names))
        show(out, rows)


@command.command("clear")
def clear_command() -> None:
    """Delete every engine in the cache."""
    console().print(f"freed {bytes_text(clear_cache())} in {cache_folder()}", markup=False, soft_wrap=True)
