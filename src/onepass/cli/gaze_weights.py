"""``onepass gaze weights``."""

from __future__ import annotations

from pathlib import Path

import click

from onepass.cli._group import Group
from onepass.cli._progress import download_bar
from onepass.cli._tables import bytes_text, console, show, table
from onepass.gaze.fetch.weights import GAZEML_WEIGHTS, fetch, path_of, weights_folder

_NAMES = tuple(GAZEML_WEIGHTS)


@click.group("weights", cls=Group)
def command() -> None:
    """Show or fetch the weights that GazeML's authors trained, as ONNX models.

    They are ETH Zurich's, under the MIT licence: https://github.com/swook/GazeML.
    """


@command.command("fetch")
@click.argument("names", nargs=-1, type=click.Choice(_NAMES), metavar="[NAME]...")
@click.option(
    "--archive", type=click.Path(path_type=Path), metavar="FILE",
    help="The archive of the one NAME that is given, as a file, where there is no network.",
)  # fmt: skip
def fetch_command(names: tuple[str, ...], archive: Path | None) -> None:
    """Fetch the weights NAME, or all, convert them, and print where the ONNX models are.

    A download that broke off goes on where it stopped. The hash of each archive is noted the first time, and checked
    from then on.

    \b
    onepass gaze weights fetch ELG_i60x36_f60x36_n32_m2
    onepass gaze face.jpg \\
      --model ~/.cache/onepass/gazeml-weights/ELG_i60x36_f60x36_n32_m2.onnx
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if archive is not None and len(names) != 1:
        raise click.UsageError(f"--archive is for one NAME; give one of {', '.join(_NAMES)}")
    paths = [_fetched(name, archive) for name in names or _NAMES]
    for path in paths:
        console().print(f"{path}  {bytes_text(path.stat().st_size)}", markup=False, soft_wrap=True)


@command.command("list")
def list_command() -> None:
    """List the weights, where they come from, and whether they are here."""
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
