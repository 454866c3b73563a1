"""Calibration samples: recorded while a person looks at points, written to and read from tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError, MediaError
from onepass.artifacts import replacing
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face
from onepass.gaze.screen.course import Course
from onepass.gaze.screen.rows import (
    NEEDED_COLUMNS,
    OTHER_COLUMNS,
    SAMPLE_COLUMNS,
    is_sample,
    numbers_of,
    sample_of,
    target_of,
)
from onepass.gaze.screen.sample import GazeSample, Screen
from onepass.media import Frame, Picture

_GROUND, _RING, _DOT = (28, 32, 40), (94, 234, 212), (255, 255, 255)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The samples of a person looking at points on a screen.

    Attributes:
        samples: One per frame in which both eyes were visible and open.
        targets_px: float64 [N, 2], the points on the screen.
    """

    samples: tuple[GazeSample, ...]
    targets_px: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        if np.shape(self.targets_px) != (len(self.samples), 2):
            raise InputError(
                f"{len(self.samples)} samples need targets [{len(self.samples)}, 2], "
                f"got {list(np.shape(self.targets_px))}"
            )

    @classmethod
    def empty(cls) -> Recording:
        """Return an empty recording."""
        return cls((), np.empty((0, 2)))

    @property
    def rows(self) -> list[list[float | None]]:
        """The numbers of a table with `SAMPLE_COLUMNS`, one row per sample; None for unknown values."""
        pairs = zip(self.targets_px.tolist(), self.samples, strict=True)
        return [[*target, *numbers_of(sample)] for target, sample in pairs]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV table with `SAMPLE_COLUMNS`."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(SAMPLE_COLUMNS)
            writer.writerows(self.rows)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a CSV table with `SAMPLE_COLUMNS`; other columns are ignored.

        An ``onepass gaze`` table with added points works, too: rows without a face, without a point or with a blink are
        ignored.

        Raises:
            InputError: The file does not exist or is not a table, or a column is missing or not numeric.
        """
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
                reader = csv.DictReader(file)
                names = reader.fieldnames or ()
                missing = [name for name in NEEDED_COLUMNS if name not in names]
                if missing:
                    first = ",".join(names)[:80]
                    raise InputError(
                        f"{os.fspath(path)!r} has no column {', '.join(missing)}; its first line is {first!r}. "
                        f"Expected a comma-separated table with {', '.join(NEEDED_COLUMNS)}, and optionally "
                        f"{', '.join(OTHER_COLUMNS)}"
                    )
                rows = [(reader.line_num, row) for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{os.fspath(path)!r} is not a CSV table: {error}") from error
        except OSError as error:
            raise InputError(f"cannot read the samples {os.fspath(path)!r}: {error.strerror}") from error
        samples, targets = [], []
        for line, row in rows:
            try:
                if is_sample(row):
                    samples.append(sample_of(row))
                    targets.append(target_of(row))
            except ValueError as error:
                raise InputError(f"line {line} of {os.fspath(path)!r}: {error}") from error
        return cls(tuple(samples), np.array(targets, np.float64).reshape(-1, 2))


def record(
    frames: Iterable[Frame],
    track: Callable[[Picture, float], list[Face]],
    screen: Screen,
    show: Callable[[Picture], bool],
    *,
    points: int = 9,
    done: Recording | None = None,
    keep: Callable[[Recording], None] = lambda _: None,
) -> Recording:
    """Show points on a screen one by one, and record a person's gaze.

    Args:
        frames: A camera's frames, with times.
        track: Returns the faces in a picture taken at a time, such as a `GazeTracker`; the largest one counts.
        screen: The screen.
        show: Shows a picture of the screen's size; returns whether to continue.
        points: Number of points, 5, 9 or 13.
        done: The recording of an interrupted session; its points are not shown again.
        keep: Called after each point with the recording so far.

    Raises:
        MediaError: The frames ended.
        InputError: `show` stopped the recording, the eyes were not visible for too long, there is no pattern with this
            number of points, or the pictures' aspect ratio differs from that of `done`.
    """
    done = Recording.empty() if done is None else done
    course = Course(screen, points, samples=done.samples, targets_px=done.targets_px)
    if course.is_done:
        return done
    for frame in frames:
        seconds = frame.seconds or 0.0
        if not show(point_picture(screen, course.target, course.share(seconds))):
            raise InputError("the calibration was stopped before its last point")
        height, width = frame.picture.shape[:2]
        number = course.number
        course.take(seconds, track(frame.picture, seconds), (width, height))
        if course.number > number:
            done = Recording(course.samples, course.targets_px)
            keep(done)
        if course.is_done:
            return done
    raise MediaError("the camera ended before the last point of the calibration")


def point_picture(screen: Screen, target: npt.ArrayLike, share: float) -> Picture:
    """Return the picture for a point: a dot, and a ring that shrinks towards it as time passes.

    Args:
        screen: The screen.
        target: The point, [2] in pixels.
        share: Elapsed share of the point's time, 0 to 1.
    """
    picture = np.full((screen.height_px, screen.width_px, 3), _GROUND, np.uint8)
    x, y = np.asarray(target, np.float64).tolist()
    unit = screen.height_px / 100
    ring, dot = unit * (1 + 3 * (1 - min(max(share, 0.0), 1.0))), 0.5 * unit
    reach = int(np.ceil(ring + unit)) + 1
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = picture[top : int(y) + reach, left : int(x) + reach]
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    distance = np.hypot(columns + left + 0.5 - x, rows + top + 0.5 - y)
    part[np.abs(distance - ring) < 0.25 * unit] = _RING
    part[distance < dot] = _DOT
    return picture
