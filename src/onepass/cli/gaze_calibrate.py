"""``onepass gaze calibrate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from onepass.artifacts import sha256_of
from onepass.cli._gaze_options import finder_option, gaze_option, model_option
from onepass.cli._tables import console, show, table
from onepass.gaze import GazeEstimator, GazeMethod, GazeTracker
from onepass.gaze.find.faces import name_of
from onepass.gaze.model import model_path
from onepass.gaze.screen.calibration import calibrate
from onepass.gaze.screen.connected import screen_from_text
from onepass.gaze.screen.course import Course
from onepass.gaze.screen.recording import Recording, record
from onepass.gaze.screen.sample import POINT_COUNTS
from onepass.gaze.screen.unfinished import Setup, load_unfinished, save_unfinished, unfinished_path
from onepass.media import Window, open_source

_FILE = click.Path(path_type=Path)


@click.command("calibrate", short_help="Calibrate where on a screen a person looks.")
@click.argument("source")
@click.option(
    "-o", "--output", type=_FILE, default=Path("calibration.json"), show_default=True, metavar="FILE",
    help="Where to write the calibration.",
)  # fmt: skip
@click.option(
    "--screen", required=True, metavar="SCREEN",
    help="Size of the screen in pixels, such as 1920x1080. With several screens: the number (from 1) or name of one, "
    "or position and size on the desktop, such as 1920,0,1920x1080.",
)  # fmt: skip
@click.option("--screen-width-mm", type=click.FloatRange(0, min_open=True), metavar="MM", help="Width of the screen.")
@click.option(
    "--distance-mm", type=click.FloatRange(0, min_open=True), metavar="MM",
    help="Distance from eyes to screen. With both, the error is also shown in degrees.",
)  # fmt: skip
@click.option(
    "--points", type=click.Choice([str(count) for count in POINT_COUNTS]), default="9", show_default=True,
    help="Number of points in a camera session.",
)  # fmt: skip
@click.option("--samples", type=_FILE, metavar="FILE", help="Save the samples of a camera session as a table.")
@click.option("--resume", is_flag=True, help="Continue the interrupted session for this output file.")
@model_option
@gaze_option
@finder_option
def command(
    source: str, output: Path, screen: str, screen_width_mm: float | None, distance_mm: float | None,
    points: str, samples: Path | None, resume: bool, model: str, gaze: GazeMethod, finder: str,
) -> None:  # fmt: skip
    """Calibrate where on a screen a person looks, and measure the error.

    SOURCE is a camera, such as camera:0: points appear on the screen, and the person looks at each point while the
    ring around it closes. SOURCE can also be a table of samples (CSV) with the columns target_x_px, target_y_px,
    gaze_pitch_deg and gaze_yaw_deg, as written by --samples, or a table of `onepass gaze` with the first two added.

    The error is measured by cross-validation: each point is left out in turn. An interrupted session keeps the
    finished points; --resume continues with the others.
    """
    for path in (output, samples):
        if path is not None and not path.absolute().parent.is_dir():  # fail before the session, not after it
            raise click.UsageError(f"cannot write {path.name}: folder {str(path.parent)!r} not found")
        if path is not None and path.is_dir():
            raise click.UsageError(f"{str(path)!r} is a folder; expected a file name")
    chosen = replace(screen_from_text(screen), width_mm=screen_width_mm, distance_mm=distance_mm)
    is_table = Path(source).suffix.lower() == ".csv"
    if is_table:
        _refuse_for_tables("points", "samples", "resume", "model", "gaze", "finder")
        recording = Recording.load(source)
    else:
        path = model_path(model)
        with GazeEstimator.from_default(model, finder=finder, max_faces=1, gaze=gaze) as estimator:
            setup = Setup(
                source, chosen, int(points), f"{path.name} {sha256_of(path)[:16]}", gaze, name_of(estimator.finder)
            )
            recording = _session(setup, estimator, unfinished_path(output), resume=resume)
    if samples is not None:
        recording.save(samples)
    calibration = calibrate(recording.samples, recording.targets_px, chosen)
    calibration.save(output)
    if not is_table:
        unfinished_path(output).unlink(missing_ok=True)
    out = console()
    degrees = "" if calibration.error.degrees is None else f", {calibration.error.degrees:.2f} degrees"
    rows = table("", "point", "error when left out")
    for number, error_px in enumerate(calibration.error.pixels_by_point, 1):
        rows.add_row(str(number), f"{error_px:.0f} px")
    show(out, rows)
    out.print(
        f"{calibration.points} points, {calibration.samples} samples: error {calibration.error.pixels:.0f} px{degrees}",
        markup=False,
    )
    out.print(f"written to {output}", markup=False, soft_wrap=True)


def _refuse_for_tables(*names: str) -> None:
    """Reject options for a camera session: a table is the result of one."""
    context = click.get_current_context()
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"--{given[0]} is for a camera session; SOURCE is a table of recorded samples")


def _session(setup: Setup, estimator: GazeEstimator, path: Path, *, resume: bool) -> Recording:
    """Show points and record what the camera sees; save it to a file after each point."""
    done = load_unfinished(path, setup) if resume else Recording.empty()
    number = Course(setup.screen, setup.points, samples=done.samples, targets_px=done.targets_px).number
    if number == setup.points:
        return done
    notes = console(stderr=True)
    if resume:
        left = f"{setup.points - number} of {setup.points} points remaining"
        notes.print(f"continuing {path}: {left}", markup=False, soft_wrap=True)

    def keep(recording: Recording) -> None:
        nonlocal number
        save_unfinished(path, setup, recording)
        number += 1

    tracker = GazeTracker(estimator, max_faces=1, smoothing=None)
    try:
        with (
            open_source(setup.source) as frames,
            Window("onepass gaze calibrate", fullscreen=True, at_px=setup.screen.place_px) as window,
        ):
            return record(frames, tracker, setup.screen, window.show, points=setup.points, done=done, keep=keep)
    except BaseException:  # Ctrl-C, too
        if number:
            kept = f"{number} of {setup.points} points saved in {path}; --resume continues with the others"
            notes.print(kept, markup=False, soft_wrap=True)
        raise
