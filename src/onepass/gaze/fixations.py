"""Fixations and saccades: where a gaze rests, and where it jumps.

Both methods are from Salvucci and Goldberg, "Identifying fixations and saccades in eye-tracking protocols", ETRA 2000:
by velocity (I-VT) and by dispersion (I-DT). They were designed for eye trackers with at least 60 samples per second and
a precision of a degree; with a video's 30 smoothed frames per second, they detect long fixations and large jumps. NumPy
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.directions import Gaze
from onepass.gaze.geometry import FloatArray

Kind: TypeAlias = Literal["fixation", "saccade"]
Method: TypeAlias = Literal["velocity", "dispersion"]

METHODS: tuple[Method, ...] = ("velocity", "dispersion")
"""The detection methods: I-VT, I-DT."""


@dataclass(frozen=True, slots=True)
class EyeMovement:
    """A fixation or a saccade.

    Attributes:
        kind: "fixation" or "saccade".
        start_seconds: Time of its first sample; for a saccade, of the last sample before it.
        end_seconds: Time of its last sample.
        samples: Number of samples.
        start: Gaze at the start.
        end: Gaze at the end.
        centre: Mean direction.
        amplitude_deg: Angle between `start` and `end`.
        dispersion_deg: Range of yaw plus range of pitch.
        peak_speed_deg_s: Maximum speed between consecutive samples; 0 for a single sample.
    """

    kind: Kind
    start_seconds: float
    end_seconds: float
    samples: int
    start: Gaze
    end: Gaze
    centre: Gaze
    amplitude_deg: float
    dispersion_deg: float
    peak_speed_deg_s: float

    @property
    def duration_seconds(self) -> float:
        """Duration in seconds."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, slots=True)
class MovementFinder:
    """Find fixations and saccades in the gaze of one person.

    Attributes:
        method: "velocity" (I-VT): samples reached with at most `max_speed_deg_s` belong to a fixation, others to a
            saccade. "dispersion" (I-DT): a fixation lasts as long as the range of yaw plus the range of pitch is at
            most `max_dispersion_deg`; saccades lie between two fixations.
        max_speed_deg_s: Threshold for "velocity", degrees per second.
        max_dispersion_deg: Threshold for "dispersion", degrees.
        min_seconds: Minimum duration of a fixation.
        max_gap_seconds: A longer gap between samples, such as a blink, ends every movement.
    """

    method: Method = "velocity"
    max_speed_deg_s: float = 50.0
    max_dispersion_deg: float = 4.0
    min_seconds: float = 0.1
    max_gap_seconds: float = 0.12

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method must be one of {', '.join(map(repr, METHODS))}, got {self.method!r}")
        for name in ("max_speed_deg_s", "max_dispersion_deg", "min_seconds", "max_gap_seconds"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} must be a finite number above 0, got {getattr(self, name)}")

    def __call__(self, gazes: Sequence[Gaze], seconds: npt.ArrayLike) -> list[EyeMovement]:
        """Return the fixations and saccades, in order.

        Args:
            gazes: The gaze of one person, sample by sample, without blinks.
            seconds: float [N], increasing times.

        Raises:
            InputError: The number of times differs from that of gazes, or the times do not increase.
        """
        times = np.asarray(seconds, np.float64)
        if times.shape != (len(gazes),) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise InputError(f"{len(gazes)} gazes need {len(gazes)} increasing times, got shape {list(times.shape)}")
        track = _Track.of(gazes, times)
        breaks = np.flatnonzero(np.diff(times) > self.max_gap_seconds) + 1
        found: list[EyeMovement] = []
        for part in np.split(np.arange(len(times)), breaks):
            if len(part):
                spans = (
                    self._by_velocity(track, part) if self.method == "velocity" else self._by_dispersion(track, part)
                )
                found += [track.movement(kind, first, last) for kind, first, last in spans]
        return found

    def _by_velocity(self, track: _Track, part: npt.NDArray[np.intp]) -> list[tuple[Kind, int, int]]:
        """Return kind, first and last sample of each movement in a part without gaps, by I-VT."""
        slow = track.speeds[part] <= self.max_speed_deg_s
        slow[0] = slow[1] if len(part) > 1 else True  # the first sample has no speed
        edges = np.flatnonzero(np.diff(slow)) + 1
        spans: list[tuple[Kind, int, int]] = []
        for group in np.split(np.arange(len(part)), edges):
            first, last = int(part[group[0]]), int(part[group[-1]])
            if slow[group[0]]:
                if track.times[last] - track.times[first] >= self.min_seconds - 1e-9:
                    spans.append(("fixation", first, last))
            else:
                spans.append(("saccade", max(first - 1, int(part[0])), last))
        return spans

    def _by_dispersion(self, track: _Track, part: npt.NDArray[np.intp]) -> list[tuple[Kind, int, int]]:
        """Return the same by I-DT: a window of the minimum duration grows while its dispersion is small."""
        fixations: list[tuple[int, int]] = []
        first, end = int(part[0]), int(part[-1])
        while first <= end:
            last = int(np.searchsorted(track.times, track.times[first] + self.min_seconds - 1e-9))
            if last > end:
                break
            if track.dispersion_deg(first, last) > self.max_dispersion_deg:
                first += 1
                continue
            while last < end and track.dispersion_deg(first, last + 1) <= self.max_dispersion_deg:
                last += 1
            fixations.append((first, last))
            first = last + 1
        spans: list[tuple[Kind, int, int]] = []
        for index, (first, last) in enumerate(fixations):
            if index:
                spans.append(("saccade", fixations[index - 1][1], first))
            spans.append(("fixation", first, last))
        return spans


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """Gaze over time: directions [N, 3], yaw and pitch [N, 2] in degrees, times [N], speeds [N] to each sample."""

    directions: FloatArray
    angles: FloatArray
    times: FloatArray
    speeds: FloatArray

    @classmethod
    def of(cls, gazes: Sequence[Gaze], times: FloatArray) -> _Track:
        directions = np.array([gaze.vector for gaze in gazes]).reshape(-1, 3)
        angles = np.array([[gaze.yaw_deg, gaze.pitch_deg] for gaze in gazes]).reshape(-1, 2)
        cross = np.linalg.norm(np.cross(directions[:-1], directions[1:]), axis=1)
        turns = np.degrees(np.arctan2(cross, (directions[:-1] * directions[1:]).sum(axis=1)))
        return cls(directions, angles, times, np.concatenate([np.zeros(min(len(times), 1)), turns / np.diff(times)]))

    def dispersion_deg(self, first: int, last: int) -> float:
        """Return the range of yaw plus the range of pitch of some samples."""
        return float(np.ptp(self.angles[first : last + 1], axis=0).sum())

    def movement(self, kind: Kind, first: int, last: int) -> EyeMovement:
        """Return some samples as a movement."""
        start, end = (Gaze.from_vector(self.directions[index]) for index in (first, last))
        return EyeMovement(
            kind,
            float(self.times[first]),
            float(self.times[last]),
            last - first + 1,
            start,
            end,
            Gaze.from_vector(self.directions[first : last + 1].sum(axis=0)),
            start.degrees_to(end),
            self.dispersion_deg(first, last),
            float(self.speeds[first + 1 : last + 1].max(initial=0.0)),
        )
