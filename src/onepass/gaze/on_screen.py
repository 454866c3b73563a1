"""The interface for gaze on a screen; `Calibration` implements it."""

from __future__ import annotations

from typing import Protocol

from onepass._errors import InputError
from onepass.gaze.find.faces import FaceFinder, sees_heads
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face


class ScreenCalibration(Protocol):
    """Maps a face to the point on a screen that it looks at, as `Calibration` does."""

    @property
    def uses_head(self) -> bool:
        """Whether the calibration needs head poses."""
        ...

    def __call__(self, face: Face, /, *, picture_size_px: tuple[int, int] | None = None) -> FloatArray | None:
        """Return the point on the screen, float64 [2] in pixels; None if the face lacks required data."""
        ...


def check_finder(calibration: ScreenCalibration | None, finder: FaceFinder) -> None:
    """Check that a finder provides what a calibration needs.

    Raises:
        InputError: The calibration needs head poses, which the finder does not provide.
    """
    if calibration is not None and calibration.uses_head and not sees_heads(finder):
        raise InputError(
            f"the calibration needs head poses, which {type(finder).__name__} does not provide; use the calibration's "
            "own finder (of the named ones, only 'mesh' provides head poses), or calibrate again with this finder"
        )
