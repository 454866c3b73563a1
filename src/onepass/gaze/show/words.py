"""What a gaze is called: the words of the table, and where they begin. NumPy only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from onepass._errors import InputError
from onepass.gaze.directions import Gaze


@dataclass(frozen=True, slots=True)
class GazeWords:
    """From angles and speeds to words.

    Attributes:
        aside_deg: From this yaw on a gaze goes "left" or "right", in the picture, degrees.
        upright_deg: From this pitch on it goes "up" or "down".
        saccade_deg_s: Faster than this it is a "saccade", otherwise a "fixation" (I-VT, sample by sample), degrees a
            second.
    """

    aside_deg: float = 12.0
    upright_deg: float = 10.0
    saccade_deg_s: float = 50.0

    def __post_init__(self) -> None:
        for name, number in asdict(self).items():
            if not 0 < number < math.inf:
                raise InputError(f"{name} must be a finite number above 0, got {number}")

    def direction(self, gaze: Gaze) -> str:
        """Return "left", "right", "up", "down" or "centre": the way that goes furthest beyond where it begins."""
        aside, upright = gaze.yaw_deg / self.aside_deg, gaze.pitch_deg / self.upright_deg
        if max(abs(aside), abs(upright)) < 1:
            return "centre"
        if abs(aside) >= abs(upright):
            return "right" if aside > 0 else "left"
        return "up" if upright > 0 else "down"

    def movement(self, speed_deg_s: float | None) -> str | None:
        """Return "saccade" or "fixation"; None where the speed is not known."""
        if speed_deg_s is None:
            return None
        return "saccade" if speed_deg_s > self.saccade_deg_s else "fixation"
