"""Samples for a calibration: recorded while a person looks at points, kept in a table, read from one."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError, MediaError
from onepass.artifacts import replacing
from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face
from onepass.gaze.screen.course import Course
from onepass.gaze.screen.sample import GazeSample, Screen
from onepass.media import Frame, Picture

SAMPLE_COLUMNS = (
    "target_x_px", "target_y_px", "gaze_pitch_deg", "gaze_yaw_deg", "head_pitch_deg", "head_yaw_deg", "head_roll_deg",
    "eyes_x_px", "eyes_y_px", "eye_distance_px", "picture_width_px", "picture_height_px",
)  # fmt: skip
"""Columns of a table of samples, the point on the screen first. Four are needed; the rest may be missing or empty."""

_NEEDED = SAMPLE_COLUMNS[:4]
_HEAD, _PLACE, _SIZE = SAMPLE_COLUMNS[4:7], SAMPLE_COLUMNS[7:10], SAMPLE_COLUMNS[10:]
_BLINK = "eye_blink"

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV table with `SAMPLE_COLUMNS`."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(SAMPLE_COLUMNS)
            for sample, target in zip(self.samples, self.targets_px, strict=True):
                writer.writerow([*target.tolist(), *_numbers_of(sample)])

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
            with Path(path).open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
                if missing:
                    raise InputError(
                        f"{os.fspath(path)!r} has no column {', '.join(missing)}; a table of samples has "
                        f"{', '.join(_NEEDED)}, and may have {', '.join((*_HEAD, *_PLACE, *_SIZE))}"
                    )
                rows = [(reader.line_num, row) for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{os.fspath(path)!r} is no table as CSV: {error}") from error
        except OSError as error:
            raise InputError(f"cannot read the samples {os.fspath(path)!r}: {error.strerror}") from error
        samples, targets = [], []
        for line, row in rows:
            try:
                if (row.get(_BLINK) or "").lower() in ("true", "1") or not all(row[name] for name in _NEEDED):
                    continue
                samples.append(_sample_of(row))
                targets.append([_number(row["target_x_px"]), _number(row["target_y_px"])])
            except ValueError as error:
                raise InputError(f"line {line} of {os.fspath(path)!r}: {error}") from error
        return cls(tuple(samples), np.array(targets, np.float64).reshape(-1, 2))


def _numbers_of(sample: GazeSample) -> list[float | None]:
    """Return what a row has after the point on the screen."""
    head, place = sample.head, sample.eyes_px
    return [
        sample.gaze.pitch_deg,
        sample.gaze.yaw_deg,
        *([None] * 3 if head is None else [head.pitch_deg, head.yaw_deg, head.roll_deg]),
        *([None] * 2 if place is None else place),
        sample.eye_distance_px,
        *(sample.picture_size_px or [None] * 2),
    ]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is not a finite number")
    return value


def _sample_of(row: Mapping[str, str]) -> GazeSample:
    """Return the sample of a row of text."""

    def numbers(names: tuple[str, ...]) -> list[float] | None:
        texts = [row.get(name) for name in names]
        return [_number(text) for text in texts if text] if all(texts) else None

    gaze, head, place, size = numbers(_NEEDED[2:]), numbers(_HEAD), numbers(_PLACE), numbers(_SIZE)
    pitch, yaw = np.radians(gaze or [np.nan] * 2).tolist()
    return GazeSample(
        Gaze(pitch, yaw),
        None if head is None else HeadPose(*np.radians(head).tolist()),
        None if place is None else (place[0], place[1]),
        None if place is None else place[2],
        None if size is None else (round(size[0]), round(size[1])),
    )


def record(
    frames: Iterable[Frame],
    track: Callable[[Picture, float], list[Face]],
    screen: Screen,
    show: Callable[[Picture], bool],
    *,
    points: int = 9,
) -> Recording:
    """Show points on a screen, one after the other, and record where a person looks meanwhile.

    Args:
        frames: What a camera sees; each with its time.
        track: What finds the faces in a picture of that time, as a `GazeTracker` does; the largest one counts.
        screen: The screen.
        show: Shows a picture of the size of the screen; returns whether to go on.
        points: How many points, 5, 9 or 13.

    Raises:
        MediaError: The frames ended.
        InputError: `show` stopped it, both eyes were not seen for a while, or there is no pattern of that many points.
    """
    course = Course(screen, points)
    for frame in frames:
        seconds = frame.seconds or 0.0
        if not show(point_picture(screen, course.target, course.share(seconds))):
            raise InputError("the calibration was stopped before its last point")
        height, width = frame.picture.shape[:2]
        course.take(seconds, track(frame.picture, seconds), (width, height))
        if course.is_done:
            return Recording(course.samples, course.targets_px)
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
