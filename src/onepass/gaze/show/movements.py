"""A table of a video's fixations and saccades, one per row."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from onepass._errors import MediaError
from onepass.artifacts import replacing
from onepass.gaze.directions import Gaze
from onepass.gaze.fixations import EyeMovement, MovementFinder
from onepass.gaze.stream import StreamResult

MOVEMENT_COLUMNS = (
    "face_id", "movement", "start_seconds", "end_seconds", "duration_seconds", "samples", "yaw_deg", "pitch_deg",
    "amplitude_deg", "dispersion_deg", "peak_speed_deg_s",
)  # fmt: skip
"""Columns of a movement table. Yaw and pitch are the mean of a fixation, or the end of a saccade; camera frame."""

_DECIMALS = 4


class MovementTable:
    """Collect the gaze of each face, and write its fixations and saccades as CSV when closed.

    Blinks are ignored, as are results without times and faces without tracking.
    """

    def __init__(self, path: str | os.PathLike[str], finder: MovementFinder | None = None) -> None:
        """Start a table.

        Args:
            path: Path of the table.
            finder: Finds fixations and saccades; None for the default `MovementFinder`.
        """
        self._path = Path(path)
        self._finder = finder or MovementFinder()
        self._gazes: defaultdict[int, list[tuple[float, Gaze]]] = defaultdict(list)
        self._closed = False

    def write(self, result: StreamResult) -> None:
        """Add the gaze of a frame's faces."""
        seconds = result.frame.seconds
        for face in result.faces:
            if seconds is None or face.id is None or any(eye.blink for eye in face.eyes):
                continue
            mine = self._gazes[face.id]
            if not mine or seconds > mine[-1][0]:
                mine.append((seconds, face.gaze))

    def movements(self) -> list[tuple[int, EyeMovement]]:
        """Return pairs of face number and movement, by face, each in order."""
        return [
            (number, movement)
            for number, samples in sorted(self._gazes.items())
            for movement in self._finder([gaze for _, gaze in samples], [seconds for seconds, _ in samples])
        ]

    def close(self) -> None:
        """Write the table. Closing twice is allowed.

        Raises:
            MediaError: The table cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with replacing(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(MOVEMENT_COLUMNS)
                writer.writerows(_row(number, movement) for number, movement in self.movements())
        except OSError as error:
            raise MediaError(f"cannot write {self._path}: {error.strerror or error}") from error

    def __enter__(self) -> MovementTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _row(number: int, movement: EyeMovement) -> list[str | int | float]:
    place = movement.centre if movement.kind == "fixation" else movement.end
    numbers = (
        movement.start_seconds, movement.end_seconds, movement.duration_seconds, movement.samples,
        place.yaw_deg, place.pitch_deg, movement.amplitude_deg, movement.dispersion_deg, movement.peak_speed_deg_s,
    )  # fmt: skip
    return [number, movement.kind, *(round(value, _DECIMALS) for value in numbers)]
