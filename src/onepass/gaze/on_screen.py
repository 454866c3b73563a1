"""What says where on a screen a face looks; a `Calibration` does."""

from __future__ import annotations

from typing import Protocol

from onepass._errors import InputError
from onepass.gaze.find.faces import FaceFinder, sees_heads
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face


class ScreenCalibration(Protocol):
    """Says where on a screen a face looks, as a `Calibration` does."""

    @property
    def uses_head(self) -> bool:
        """Whether it needs head poses."""
        ...

    def __call__(self, face: Face, /, *, picture_size_px: tuple[int, int] | None = None) -> FloatArray | None:
        """Return the point looked at, float64 [2] in pixels of the screen; None where the face does not say."""
        ...


def check_finder(calibration: ScreenCalibration | None, finder: FaceFinder) -> None:
    """Check that a finder sees what a calibration needs.

    Raises:
        InputError: The calibration needs head poses, which the finder does not see.
    """
    if calibration is not None and calibration.uses_head and not sees_heads(finder):
        raise InputError(
            f"the calibration was made with head poses, which {type(finder).__name__} does not see; take the finder "
            "that it was made with (of those named only 'mesh' sees them), or calibrate anew with this one"
        )
