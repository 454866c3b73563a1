"""Samples for a calibration: recorded while a person looks at points, kept in a table, read from one."""

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
    """What was seen while a person looked at points of a screen.

    Attributes:
        samples: One for each frame in which the eyes were seen and open.
        targets_px: float64 [N, 2], where on the screen the point was.
    """

    samples: tuple[GazeSample, ...]
    targets_px: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        if np.shape(self.targets_px) != (len(self.samples), 2):
            raise InputError(f"{len(self.samples)} samples need as many targets, got {list(np.shape(self.targets_px))}")

    @classmethod
    def empty(cls) -> Recording:
        """Return one of nothing."""
        return cls((), np.empty((0, 2)))

    @property
    def rows(self) -> list[list[float | None]]:
        """The numbers of a table of `SAMPLE_COLUMNS`, a row for each sample; None where one is not known."""
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
        """Read a CSV table with `SAMPLE_COLUMNS`; other columns do not matter.

        A table of ``onepass gaze`` to which the points were added will do: rows without a face, without a point or with
        a blink are left out.

        Raises:
            InputError: There is no such file, it is no table, or a column is missing or holds something else than
                numbers.
        """
        try:
            with Path(path).open(encoding="utf-8-sig", newline="") as file:  # spreadsheets begin UTF-8 with a mark
                reader = csv.DictReader(file)
                names = reader.fieldnames or ()
                missing = [name for name in NEEDED_COLUMNS if name not in names]
                if missing:
                    first = ",".join(names)[:80]
                    raise InputError(
                        f"{os.fspath(path)!r} has no column {', '.join(missing)}; its first line is {first!r}. A table "
                        f"of samples has {', '.join(NEEDED_COLUMNS)}, and may have {', '.join(OTHER_COLUMNS)}, with "
                        "commas between"
                    )
                rows = [(reader.line_num, row) for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{os.fspath(path)!r} is no table as CSV: {error}") from error
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
    """Show points on a screen, one after the other, and record where a person looks meanwhile.

    Args:
        frames: What a camera sees; each with its time.
        track: What finds the faces in a picture of that time, as a `GazeTracker` does; the largest one counts.
        screen: The screen.
        show: Shows a picture of the size of the screen; returns whether to go on.
        points: How many points, 5, 9 or 13.
        done: What was recorded before the session was broken off; its points are not shown again.
        keep: Called at the end of each point, with what has been recorded so far.

    Raises:
        MediaError: The frames ended.
        InputError: `show` stopped it, both eyes were not seen for a while, there is no pattern of that many points, or
            the pictures have another shape than those before.
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
    """Return what to show for a point: a dot, and around it a ring that closes in on it while its time passes.

    Args:
        screen: The screen.
        target: The point, [2] in pixels.
        share: How much of its time has passed, 0 to 1.
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
