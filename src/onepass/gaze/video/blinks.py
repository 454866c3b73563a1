"""Blinks, from how far the lids are apart over time; `onepass.gaze.lids` has what a single picture says."""

from __future__ import annotations

from onepass._errors import InputError
from onepass.gaze.lids import (
    OPEN_EYE,
    SHUT_SHARE,
    is_shut,  # noqa: F401 - it has always been offered here
)

REOPENED_SHARE = 0.65
"""A shut eye is open again above this share of its usual openness."""

# How fast the usual openness of an eye follows what is seen of it, and what it can be at all.
_ADAPTING_SECONDS = 5.0
_USUAL = (0.12, 0.35)


class BlinkDetector:
    """Follows the lids of one eye: whether it is shut now.

    The threshold for closing lies below the one for opening, so that an eye near them does not flicker, and both follow
    how far this eye is usually open, which differs from person to person.
    """

    def __init__(self, shut_share: float = SHUT_SHARE, reopened_share: float = REOPENED_SHARE) -> None:
        """Start with a usual eye.

        Args:
            shut_share: Below this share of its usual openness an eye is shut.
            reopened_share: Above this share it is open again, at least `shut_share`.

        Raises:
            InputError: The shares are not in this order, or not within 0 to 1.
        """
        if not 0 < shut_share <= reopened_share < 1:
            raise InputError(
                "blinks need 0 < shut_share <= reopened_share < 1, "
                f"got shut_share {shut_share} and reopened_share {reopened_share}"
            )
        self._shut_share, self._reopened_share = shut_share, reopened_share
        self._usual = OPEN_EYE
        self._shut = False
        self._seconds: float | None = None

    @property
    def usual_openness(self) -> float:
        """How far this eye is usually open, as far as it has been seen."""
        return self._usual

    def __call__(self, openness: float, time_seconds: float) -> bool:
        """Whether the eye is shut.

        Args:
            openness: `Eye.openness` in this frame.
            time_seconds: When the frame was taken.
        """
        share = self._reopened_share if self._shut else self._shut_share
        self._shut = openness < share * self._usual
        if not self._shut and self._seconds is not None:
            passed = max(time_seconds - self._seconds, 0.0)
            follow = passed / (_ADAPTING_SECONDS + passed)
            self._usual += follow * (min(max(openness, _USUAL[0]), _USUAL[1]) - self._usual)
        self._seconds = time_seconds
        return self._shut
