"""``onepass demo``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from onepass._errors import InputError
from onepass._optional import optional
from onepass.cli._tables import console, outputs_table
from onepass.gaze import PACKAGED_MODELS, Analysis, Eye, Gaze, GazeEstimator, draw_analysis
from onepass.gaze.geometry import FloatArray
from onepass.media import PICTURE_SUFFIXES, Picture, read_picture, write_picture


@click.command("demo")
@click.option(
    "--picture", "source", type=click.Path(path_type=Path), metavar="FILE",
    help="A picture with a face; by default a public-domain one of the astronaut Eileen Collins (NASA).",
)  # fmt: skip
@click.option(
    "--model", default="default", show_default=True, metavar="MODEL",
    help=f"Bundled weights ({' or '.join(PACKAGED_MODELS)}), or the path of an ELG network.",
)  # fmt: skip
@click.option(
    "-o", "--save", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write the annotated picture.  [default: demo/<name of the picture>-gaze.png]",
)  # fmt: skip
def command(source: Path | None, model: str, save: Path | None) -> None:
    """Find faces, eyelids, irises and gaze in a picture, and draw them.

    Runs the bundled ELG network on all eyes at once, twice: the second pass looks between the corners that the first
    one found. Prints every output of that pass and what it says about each eye, and writes an annotated picture.
    """
    name = "astronaut" if source is None else source.stem
    save = Path("demo", f"{name}-gaze.png") if save is None else save
    if source is not None and save.resolve() == source.resolve():
        raise InputError(f"{save} is the picture itself; write the annotated one elsewhere with -o FILE")
    if save.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"cannot write a picture to {save}: expected one of {', '.join(PICTURE_SUFFIXES)}")
    picture = _astronaut() if source is None else read_picture(source)
    with GazeEstimator.from_default(model) as estimator:
        estimator(picture)  # the first call also sets memory aside; what users wait for is the next
        analysis = estimator.analyse(picture)
        report = estimator.session.report()
    if analysis.outputs is None:
        raise InputError(
            f"no face found in {source or name}; faces are found from the front, where they are wide enough: "
            f"{max(40, max(picture.shape) // 20)} pixels or more in this picture"
        )
    save.parent.mkdir(parents=True, exist_ok=True)
    write_picture(save, draw_analysis(picture, analysis))
    out = console()
    height, width = picture.shape[:2]
    out.print(f"{name}: {width} x {height} pixels, {len(analysis.faces)} face(s)", markup=False)
    out.print()
    out.print(outputs_table(analysis.outputs))
    out.print()
    out.print(_times(analysis, report))
    for number, face in enumerate(analysis.faces, 1):
        out.print(f"\n[bold]face {number}[/bold] looks {_direction(face.gaze)}")
        for eye in face.eyes:
            out.print(_about(eye))
    out.print(f"\nwritten to {save}", markup=False, soft_wrap=True)


def _astronaut() -> Picture:
    picture: Picture = optional("skimage.data", extra="demo", purpose="The picture of the demo").astronaut()
    return picture


def _times(analysis: Analysis, report: Mapping[str, object]) -> str:
    stages = analysis.seconds_by_stage
    around = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in stages.items() if name != "network")
    return (
        f"one pass over {len(analysis.crops.sides)} eyes: {analysis.pass_seconds * 1e3:.2f} ms, "
        f"{report['backend']} {report.get('version', '')} on {report['device']}\n"
        f"{analysis.passes} passes; around them: {around}"
    )


def _about(eye: Eye) -> str:
    radius_px = float(np.linalg.norm(eye.iris - eye.iris.mean(axis=0), axis=1).mean())
    return (
        f"  {eye.side + ' eye':10} gaze    {_direction(eye.gaze)} (confidence {eye.confidence:.2f})\n"
        f"  {'':10} iris    centre {_point(eye.iris_centre)} px, radius {radius_px:.1f} px\n"
        f"  {'':10} eyelid  from {_point(eye.nasal_corner)} to {_point(eye.temporal_corner)} px, "
        f"open {eye.aperture_px:.1f} px"
    )


def _point(point: FloatArray) -> str:
    return f"({point[0]:.1f}, {point[1]:.1f})"


def _direction(gaze: Gaze) -> str:
    """Say a direction in words, as one who looks at the picture sees it."""
    vertical = "up" if gaze.pitch_deg >= 0 else "down"
    horizontal = "right" if gaze.yaw_deg >= 0 else "left"
    return f"{abs(gaze.pitch_deg):.1f}° {vertical}, {abs(gaze.yaw_deg):.1f}° {horizontal} in the picture"
