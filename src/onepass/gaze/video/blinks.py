"""Detect blinks from the openness of an eye over time; see `onepass.gaze.lids` for single pictures."""

from __future__ import annotations

from onepass._errors import InputError
from onepass.gaze.lids import (
    OPEN_EYE,
    SHUT_SHARE,
    is_shut,  # noqa: F401 - it has always been offered here
)

REOPENED_SHARE = 0.65
"""A closed eye counts as open again above this share of its usual openness."""

# Time constant with which the usual openness of an eye adapts, and its range.
_ADAPTING_SECONDS = 5.0
_USUAL = (0.12, 0.35)


class BlinkDetector:
    """Track whether an eye is closed.

    The closing threshold is below the opening threshold (hysteresis), and both are relative to the usual openness of
    this eye, which differs between people.
    """

    def __init__(self, shut_share: float = SHUT_SHARE, reopened_share: float = REOPENED_SHARE) -> None:
        """Start with an average openness.

        Args:
            shut_share: An eye is closed below this share of its usual openness.
            reopened_share: It is open again above this share; at least `shut_share`.

        Raises:
            InputError: The shares are not in this order or not between 0 and 1.
        """
        if not 0 < shut_share <= reopened_share < 1:
            raise InputError(
                "expected 0 < shut_share <= reopened_share < 1, "
                f"got shut_share {shut_share} and reopened_share {reopened_share}"
            )
        self._shut_share, self._reopened_share = shut_share, reopened_share
        self._usual = OPEN_EYE
        self._shut = False
        self._seconds: float | None = None

    @property
    def usual_openness(self) -> float:
        """The usual openness of this eye, as observed so far."""
        return self._usual

    def __call__(self, openness: float, time_seconds: float) -> bool:
        """Whether the eye is closed.

        Args:
            openness: `Eye.openness` in this frame.
            time_seconds: Time of the frame.
        """
        share = self._reopened_share if self._shut else self._shut_share
        self._shut = openness < share * self._usual
        if not self._shut and self._seconds is not None:
            passed = max(time_seconds - self._seconds, 0.0)
            follow = passed / (_ADAPTING_SECONDS + passed)
            self._usual += follow * (min(max(openness, _USUAL[0]), _USUAL[1]) - self._usual)
        self._seconds = time_seconds
        return self._shut
