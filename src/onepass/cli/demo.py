"""``onepass demo``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from onepass._errors import InputError
from onepass._optional import optional
from onepass._printable import counted
from onepass.cli._faces import about_face
from onepass.cli._tables import console, outputs_table, show
from onepass.gaze import PACKAGED_MODELS, Analysis, GazeEstimator, draw_analysis
from onepass.media import PICTURE_SUFFIXES, Picture, read_picture, write_picture


@click.command("demo")
@click.option(
    "--picture", "source", type=click.Path(path_type=Path), metavar="FILE",
    help="Picture with a face.  [default: a public-domain portrait of the astronaut Eileen Collins (NASA)]",
)  # fmt: skip
@click.option(
    "--model", default="default", show_default=True, metavar="MODEL",
    help=f"Bundled weights ({' or '.join(PACKAGED_MODELS)}), or the path of an ELG network.",
)  # fmt: skip
@click.option(
    "-o", "--save", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write the annotated picture.  [default: demo/NAME-gaze.png]",
)  # fmt: skip
def command(source: Path | None, model: str, save: Path | None) -> None:
    """Find faces, eyelids, irises and gaze in a picture, and draw them.

    The bundled ELG network runs on all eyes at once, twice: the second pass crops the eyes at the corners that the
    first one found. Prints every output of the second pass and the result for each eye, and writes an annotated
    picture.
    """
    name = "astronaut" if source is None else source.stem
    save = Path("demo", f"{name}-gaze.png") if save is None else save
    if source is not None and save.resolve() == source.resolve():
        raise InputError(f"{save} is the input picture; write the annotated picture to another file with -o FILE")
    if save.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"cannot write a picture to {save}: expected a name ending in {', '.join(PICTURE_SUFFIXES)}")
    picture = _astronaut() if source is None else read_picture(source)
    with GazeEstimator.from_default(model) as estimator:
        estimator(picture)  # warm-up: the first call also allocates memory
        analysis = estimator.analyse(picture)
        report = estimator.session.report()
    if analysis.outputs is None:
        raise InputError(
            f"no face found in {source or name}; a face must look at the camera, and be at least "
            f"{max(40, max(picture.shape) // 20)} pixels wide in this picture"
        )
    save.parent.mkdir(parents=True, exist_ok=True)
    write_picture(save, draw_analysis(picture, analysis))
    out = console()
    height, width = picture.shape[:2]
    out.print(f"{name}: {width} x {height} pixels, {counted(len(analysis.faces), 'face')}", markup=False)
    out.print()
    show(out, outputs_table(analysis.outputs))
    out.print()
    out.print(_times(analysis, report))
    for number, face in enumerate(analysis.faces, 1):
        out.print(f"\n{about_face(number, face)}")
    out.print(f"\nwritten to {save}", markup=False, soft_wrap=True)


def _astronaut() -> Picture:
    picture: Picture = optional("skimage.data", extra="demo", purpose="The picture of the demo").astronaut()
    return picture


def _times(analysis: Analysis, report: Mapping[str, object]) -> str:
    stages = analysis.seconds_by_stage
    around = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in stages.items() if name != "network")
    return (
        f"one pass over {counted(len(analysis.crops.sides), 'eye')}: {analysis.pass_seconds * 1e3:.2f} ms, "
        f"{report['backend']} {report.get('version', '')} on {report['device']}\n"
        f"{counted(analysis.passes, 'pass', 'passes')}; other stages: {around}"
    )
