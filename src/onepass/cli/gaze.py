"""``onepass gaze``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import click

from onepass._errors import InputError
from onepass._interrupts import leaving_at_once
from onepass._optional import optional
from onepass.cli._default_command import DefaultCommand, DefaultGroup
from onepass.cli._gaze_job import Job
from onepass.cli._gaze_options import (
    every_option,
    finder_option,
    gaze_option,
    kappa_option,
    max_faces_option,
    model_option,
    smooth_option,
)
from onepass.cli._model import opening_options
from onepass.cli._tables import console
from onepass.cli.gaze_calibrate import command as calibrate_command
from onepass.cli.gaze_models import command as models_command
from onepass.cli.gaze_page import command as page_command
from onepass.cli.gaze_weights import command as weights_command
from onepass.gaze import (
    Calibration,
    GazeEstimator,
    GazeMethod,
    GazeTracker,
    GazeWords,
    MovementFinder,
    MovementTable,
    ParquetTable,
    Smoothing,
    Table,
    TextTable,
)
from onepass.gaze.find.faces import name_of
from onepass.gaze.fixations import METHODS, Method
from onepass.gaze.result import Side
from onepass.media import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    Source,
    VideoSource,
    Window,
    open_sink,
    open_source,
)
from onepass.media.folder import fitting_name
from onepass.runtime import ModelSpec

_FILE = click.Path(path_type=Path)
_STDOUT = Path("-")


def _angles(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, float]:
    """Read two angles in degrees, such as 12x10."""
    try:
        across, down = (float(part) for part in value.lower().split("x"))
    except ValueError:
        across = down = 0.0
    if not (0 < across < 180 and 0 < down < 180):
        raise click.BadParameter(
            f"{value!r}: expected two angles in degrees, horizontal and vertical, such as 12x10", ctx, param
        )
    return across, down


@click.command(cls=DefaultCommand)
@click.argument("source")
@click.option(
    "-o", "--output", type=_FILE, metavar="PATH",
    help="Annotated picture, video or folder of pictures to write.  [default: SOURCE-gaze or a similar unused name, "
    "unless a table or a window is requested]",
)  # fmt: skip
@click.option("--csv", type=_FILE, metavar="FILE", help="Write a table with a row for each eye; - is standard output.")
@click.option("--jsonl", type=_FILE, metavar="FILE", help="Write the table as JSON Lines.")
@click.option("--parquet", type=_FILE, metavar="FILE", help="Write the table as Parquet.")
@click.option(
    "--movements", type=_FILE, metavar="FILE", help="Write the fixations and saccades of a video as CSV, one per row."
)
@click.option(
    "--movements-by", type=click.Choice(METHODS), default="velocity", show_default=True,
    help="Separate fixations from saccades by gaze velocity (I-VT) or by dispersion (I-DT).",
)  # fmt: skip
@click.option("--show", is_flag=True, help="Show the frames in a window; Escape or q closes it.")
@click.option("--fullscreen", is_flag=True, help="Show the frames full-screen.")
@click.option("--mirror", is_flag=True, help="Mirror the window; files and tables are not mirrored.")
@click.option(
    "--headless",
    is_flag=True,
    help="Never open a window. (A camera opens one by default when no output file is given.)",
)
@model_option
@finder_option
@gaze_option
@kappa_option
@click.option(
    "--eye",
    type=click.Choice(["left", "right"]),
    help="Use only this eye of each face, from the subject's point of view.",
)
@click.option(
    "--centre", callback=_angles, default="12x10", show_default=True, metavar="HxV",
    help="Gaze within H degrees horizontally and V vertically is centre; beyond, it is left, right, up or down.",
)  # fmt: skip
@click.option(
    "--saccade-speed", type=click.FloatRange(0, min_open=True), default=GazeWords().saccade_deg_s, show_default=True,
    metavar="DEG/S", help="Gaze that moves faster than this is a saccade.",
)  # fmt: skip
@click.option(
    "--calibration", type=_FILE, metavar="FILE",
    help="Calibration from `onepass gaze calibrate`; adds the point on the screen to the table.",
)  # fmt: skip
@max_faces_option
@every_option
@smooth_option
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Frames per pass. With more than one, frames are independent: faces are not tracked and nothing is smoothed.",
)  # fmt: skip
@click.option(
    "--fps", type=click.FloatRange(0, min_open=True), metavar="N",
    help="Frame rate to request from a camera, or of a video made from a folder of pictures.",
)  # fmt: skip
@click.option(
    "--live/--no-live", default=None,
    help="Drop frames of a stream when processing falls behind, or process every frame.  [default: --live for RTSP and "
    "other endless streams, --no-live for files behind a URL and pipes]",
)  # fmt: skip
@click.option(
    "--reconnect", type=click.FloatRange(0), default=0.0, metavar="SECONDS",
    help="Try for this long to reopen a stream that broke off; the table marks the frame.",
)  # fmt: skip
@opening_options
@click.pass_context
def _run(
    ctx: click.Context, source: str, output: Path | None, csv: Path | None, jsonl: Path | None, parquet: Path | None,
    show: bool, fullscreen: bool, mirror: bool, headless: bool, model: str, finder: str, gaze: GazeMethod, kappa: float,
    eye: Side | None, centre: tuple[float, float], saccade_speed: float, movements: Path | None, movements_by: Method,
    calibration: Path | None, max_faces: int | None, every: int, smooth: bool, batch: int, fps: float | None,
    live: bool | None, reconnect: float, opening: dict[str, Any],
) -> None:  # fmt: skip
    """Find gaze in pictures, videos, cameras and streams.

    SOURCE is a picture, a folder of pictures, a video, a camera such as camera:0, a URL such as rtsp://… or http://…,
    or - for standard input.

    Pictures and videos are written with annotations, videos with their sound. Tables have a row for each frame, face
    and eye. Every frame of a video is processed. With a camera or a live stream, frames are dropped when processing
    falls behind, so the picture stays live. After Ctrl-C, all files written so far are complete.
    """
    _check_places(source, [path for path in (output, csv, jsonl, parquet, movements) if path is not None])
    job: Job | None = None
    written = [path for path in (csv, jsonl, parquet, movements) if path not in (None, _STDOUT)]
    words = GazeWords(*centre, saccade_deg_s=saccade_speed)
    try:
        with ExitStack() as stack:
            with leaving_at_once():
                _silence_opencv()
                frames = stack.enter_context(open_source(source, fps=fps, live=live, reconnect_seconds=reconnect))
                _check(frames, batch=batch, fps=fps, live=live, reconnect=reconnect)
                _check_for_people(frames, batch=batch, movements=movements, eye=eye, learned=calibration is not None)
                if not (output or csv or jsonl or parquet or movements or show or fullscreen):
                    output = _output_for(frames)
                    show = output is None
                _check_window(asked_for=show or fullscreen, headless=headless, mirror=mirror)
                learned = None if calibration is None else Calibration.load(calibration)
                opened = GazeEstimator.from_default(
                    ModelSpec(model, **opening),
                    finder=finder,
                    max_faces=max_faces,
                    gaze=gaze,
                    kappa_deg=kappa,
                    calibration=learned,
                )
                estimator = stack.enter_context(opened)
            if frames.sequence and batch == 1:
                smoothing = Smoothing() if smooth else None
                tracker = GazeTracker(estimator, every=every, max_faces=max_faces, smoothing=smoothing)
                stream = partial(tracker.stream, newest=frames.live, eye=eye)
            else:
                stream = partial(estimator.stream, batch=batch, newest=frames.live, eye=eye)
            job = Job(frames, stream, found_by=name_of(estimator.finder), offers_models=finder == "auto")
            if show or fullscreen:
                job.window = stack.enter_context(Window(f"onepass gaze {source}", fullscreen=fullscreen, mirror=mirror))
            job.tables = [stack.enter_context(table) for table in _tables(csv, jsonl, parquet, words)]
            job.tables += [stack.enter_context(table) for table in _movements(movements, movements_by, saccade_speed)]
            if output is not None:
                job.sink = stack.enter_context(open_sink(output, frames, fps=fps))
                written.append(output)
            job.run()
    finally:
        if job is not None:
            job.report(written, console(stderr=True) if _STDOUT in (csv, jsonl) else console())
    if job.stopped_by:
        ctx.exit(128 + job.stopped_by)


command = DefaultGroup("gaze", default=_run)
command.add_command(models_command)
command.add_command(weights_command)
command.add_command(calibrate_command)
command.add_command(page_command)


def _check_places(source: str, places: Sequence[Path]) -> None:
    """Check that no two outputs share a file, and that none overwrites the source."""
    resolved = [path.resolve() for path in places]
    if len(set(resolved)) < len(resolved):
        raise click.UsageError("-o, --csv, --jsonl, --parquet and --movements must name different files")
    if source != "-" and Path(source.removeprefix("camera:")).resolve() in resolved:
        raise click.UsageError(f"{source} is the source itself; write to another file")


def _silence_opencv() -> None:
    """Silence OpenCV's messages about damaged files; the summary names these files."""
    logging = optional("cv2", extra="gaze", purpose="onepass gaze").utils.logging
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)


def _check(source: Source, *, batch: int, fps: float | None, live: bool | None, reconnect: float) -> None:
    """Reject options that do not apply to this source."""
    if live is not None and not isinstance(source, VideoSource):
        raise click.UsageError("--live and --no-live are for videos, streams and pipes")
    if reconnect and "://" not in source.name:
        raise click.UsageError("--reconnect is for streams that are opened by URL")
    if source.live and batch > 1:
        raise click.UsageError("a live source is processed frame by frame; omit --batch")
    if fps is not None and isinstance(source, VideoSource):
        raise click.UsageError("a video has its own frame rate; --fps is for cameras and folders of pictures")


def _check_for_people(source: Source, *, batch: int, movements: Path | None, eye: Side | None, learned: bool) -> None:
    """Reject results that this source, or a single eye, cannot give."""
    if eye is not None and learned:
        raise click.UsageError("a calibration uses both eyes; omit --eye or --calibration")
    if movements is not None and (batch > 1 or not source.sequence):
        raise click.UsageError("--movements requires a video with tracked faces, without --batch")


def _check_window(*, asked_for: bool, headless: bool, mirror: bool) -> None:
    if mirror and not asked_for:
        raise click.UsageError("--mirror applies to a window; add --show")
    if asked_for and headless:
        raise click.UsageError(
            "with --headless there is no window, so there would be no output; give -o, --csv, --jsonl or --parquet, "
            "and omit --show and --fullscreen"
        )


def _output_for(source: Source) -> Path | None:
    """Return the default output of a source; None for a live source.

    The user did not choose this name, so an existing file is never overwritten: it may belong to another source.
    """
    if source.live or "://" in source.name:
        return None
    path = Path(source.name).resolve()
    suffix = ""
    if not path.is_dir() and (source.sequence or (source.frame_count or 1) == 1):
        known = VIDEO_SUFFIXES if source.sequence else PICTURE_SUFFIXES
        suffix = path.suffix if path.suffix.lower() in known else (".mp4" if source.sequence else ".png")
    stem = path.name if path.is_dir() else path.stem
    endings = chain([f"-gaze{suffix}"], (f"-gaze-{number}{suffix}" for number in count(2)))
    return next(place for ending in endings if not os.path.lexists(place := Path(fitting_name(stem, ending))))


def _tables(csv: Path | None, jsonl: Path | None, parquet: Path | None, words: GazeWords) -> Iterator[Table]:
    """Open the tables, one at a time."""
    if csv is not None:
        yield TextTable(csv, words=words)
    if jsonl is not None:
        yield TextTable(jsonl, jsonl=True, words=words)
    if parquet is not None:
        if parquet == _STDOUT:
            raise InputError("a Parquet table cannot be written to standard output; give a file")
        yield ParquetTable(parquet, words=words)


def _movements(path: Path | None, method: Method, speed_deg_s: float) -> Iterator[MovementTable]:
    """Open the table of movements, if requested."""
    if path is not None:
        yield MovementTable(path, MovementFinder(method, max_speed_deg_s=speed_deg_s))
