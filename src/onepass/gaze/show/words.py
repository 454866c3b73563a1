"""Words for gaze directions and movements, and their thresholds. NumPy only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from onepass._errors import InputError
from onepass.gaze.directions import Gaze


@dataclass(frozen=True, slots=True)
class GazeWords:
    """Map angles and speeds to words.

    Attributes:
        aside_deg: Minimum yaw in degrees for "left" or "right", in the picture.
        upright_deg: Minimum pitch in degrees for "up" or "down".
        saccade_deg_s: Minimum speed in degrees per second for a "saccade"; slower is a "fixation" (I-VT, per sample).
    """

    aside_deg: float = 12.0
    upright_deg: float = 10.0
    saccade_deg_s: float = 50.0

    def __post_init__(self) -> None:
        for name, number in asdict(self).items():
            if not 0 < number < math.inf:
                raise InputError(f"{name} must be a finite number > 0, got {number}")

    def direction(self, gaze: Gaze) -> str:
        """Return "left", "right", "up", "down" or "centre": the direction that exceeds its threshold most."""
        aside, upright = gaze.yaw_deg / self.aside_deg, gaze.pitch_deg / self.upright_deg
        if max(abs(aside), abs(upright)) < 1:
            return "centre"
        if abs(aside) >= abs(upright):
            return "right" if aside > 0 else "left"
        return "up" if upright > 0 else "down"

    def movement(self, speed_deg_s: float | None) -> str | None:
        """Return "saccade" or "fixation"; None if the speed is unknown."""
        if speed_deg_s is None:
            return None
        return "saccade" if speed_deg_s > self.saccade_deg_s else "fixation"
