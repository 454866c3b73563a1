"""``onepass gaze weights``."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli._group import Group
from onepass.cli._progress import download_bar
from onepass.cli._tables import bytes_text, console, show, table
from onepass.gaze.fetch.weights import GAZEML_WEIGHTS, fetch, path_of, weights_folder

_NAMES = tuple(GAZEML_WEIGHTS)


@click.group("weights", cls=Group, short_help="List or fetch the weights of GazeML's authors.")
def command() -> None:
    """List or fetch the weights trained by GazeML's authors, as ONNX models.

    They come from ETH Zurich, under the MIT licence: https://github.com/swook/GazeML.
    """


@command.command("fetch", short_help="Fetch the weights and convert them.")
@click.argument("names", nargs=-1, type=click.Choice(_NAMES), metavar="[NAME]...")
@click.option(
    "--archive", type=click.Path(path_type=Path), metavar="FILE",
    help="The archive of a single NAME as a file, for machines without network.",
)  # fmt: skip
def fetch_command(names: tuple[str, ...], archive: Path | None) -> None:
    """Fetch the weights NAME, or all, convert them, and print the paths of the ONNX models.

    An interrupted download resumes. The hash of each archive is recorded on the first download, and checked from then
    on.

    \b
    onepass gaze weights fetch ELG_i60x36_f60x36_n32_m2
    onepass gaze face.jpg \\
      --model ~/.cache/onepass/gazeml-weights/ELG_i60x36_f60x36_n32_m2.onnx
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if archive is not None and len(names) != 1:
        raise click.UsageError(f"--archive requires exactly one NAME: {', '.join(_NAMES)}")
    paths = [_fetched(name, archive) for name in names or _NAMES]
    for path in paths:
        console().print(f"{path}  {bytes_text(path.stat().st_size)}", markup=False, soft_wrap=True)


@command.command("list")
def list_command() -> None:
    """List the weights, their source, and whether they are fetched."""
    out = console()
    out.print(f"{weights_folder()}", markup=False, soft_wrap=True)
    rows = table("", "name", "fetched from", "size")
    for name, url in GAZEML_WEIGHTS.items():
        path = path_of(name)
        rows.add_row(name, url, bytes_text(path.stat().st_size) if path.is_file() else "not fetched")
    show(out, rows)


def _fetched(name: str, archive: Path | None) -> Path:
    with download_bar(name) as progress:
        return fetch(name, archive, progress=progress)
