"""Match found faces with followed and recently lost ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onepass.gaze.result import Box
from onepass.gaze.video._likeness import Likeness, Look

SAME_FACE = 0.8
"""Looks with at least this similarity show the same face."""

OTHER_FACE = 0.6
"""Looks with less similarity show different faces; between the two thresholds the result is uncertain."""

MEMORY_SECONDS = 1.0
"""Time for which a lost face keeps its number."""

SAME_PLACE = 0.8
"""Maximum distance between the centres of two boxes of the same face, in face widths."""

# Maximum ratio of their widths.
_SAME_WIDTH = 2.0
# Maximum speed of a face that is not visible, in its widths per second.
_FASTEST = 4.0
# A face that may be a lost one is observed for this long before it gets a new number.
_WAITING_SECONDS = 0.2


def assign(
    known: Sequence[Box],
    found: Sequence[Box],
    *,
    reach: Callable[[int], float] = lambda _: SAME_PLACE,
    unlike: Callable[[int, int], float] = lambda _mine, _other: 0.0,
) -> list[tuple[int, int]]:
    """Match known with found boxes; return pairs of indices, the best pairs first, with each box at most once.

    Args:
        known: Previous boxes.
        found: Current boxes.
        reach: Maximum movement of a known face, in face widths.
        unlike: Dissimilarity of a known and a found face, in the same unit; infinite for different faces.
    """
    costs = [
        (apart + unlike(first, second), first, second)
        for first, mine in enumerate(known)
        for second, other in enumerate(found)
        if (apart := box_distance(mine, other)) <= reach(first)
    ]
    pairs: list[tuple[int, int]] = []
    for cost, first, second in sorted(costs):
        if cost < math.inf and all(first != a and second != b for a, b in pairs):
            pairs.append((first, second))
    return pairs


def box_distance(first: Box, second: Box) -> float:
    """Return the distance of two boxes in their mean width; infinite if their widths differ too much."""
    wide, narrow = max(first.width_px, second.width_px), min(first.width_px, second.width_px)
    if wide > _SAME_WIDTH * narrow:
        return float("inf")
    return math.dist(first.centre, second.centre) / ((wide + narrow) / 2)


def unlikeness(likeness: float | None, least: float) -> float:
    """Return a similarity as a cost comparable to distances in face widths; infinite if it is below `least`."""
    if likeness is None:
        return 0.0
    return 1 - likeness if likeness >= least else math.inf


@dataclass(slots=True)
class _Lost:
    id: int
    box: Box
    looks: Likeness
    seconds: float
    met_seconds: float = math.inf  # when another face was first found within reach

    def reach(self, time_seconds: float) -> float:
        """Return the maximum distance that it can have moved, in face widths."""
        return SAME_PLACE + _FASTEST * (time_seconds - self.seconds)


class Memory:
    """Recently lost faces, which may come back."""

    def __init__(self) -> None:
        """Start empty."""
        self._lost: list[_Lost] = []

    def __bool__(self) -> bool:
        """Whether any face is remembered."""
        return bool(self._lost)

    def add(self, number: int, box: Box, looks: Likeness, time_seconds: float) -> None:
        """Remember a face that was lost."""
        self._lost.append(_Lost(number, box, looks, time_seconds))

    def forget(self, time_seconds: float) -> None:
        """Forget faces lost more than `MEMORY_SECONDS` ago."""
        self._lost = [lost for lost in self._lost if time_seconds - lost.seconds <= MEMORY_SECONDS]

    def recall(self, faces: Sequence[tuple[Box, Look | None]], time_seconds: float) -> dict[int, tuple[int, Likeness]]:
        """Return numbers and looks of the new faces that are known, by their indices, and forget these faces.

        A face is identified with a lost one if it looks similar and is within reach. If there is nothing to compare, it
        must be where the lost one was.
        """
        self.forget(time_seconds)
        likenesses = [[lost.looks.to(look) for _, look in faces] for lost in self._lost]

        def unlike(mine: int, other: int) -> float:
            likeness = likenesses[mine][other]
            if likeness is None:
                near = box_distance(self._lost[mine].box, faces[other][0]) <= SAME_PLACE
                return 0.0 if near else math.inf
            return unlikeness(likeness, SAME_FACE)

        pairs = assign(
            [lost.box for lost in self._lost],
            [box for box, _ in faces],
            reach=lambda mine: self._lost[mine].reach(time_seconds),
            unlike=unlike,
        )
        known = {other: (self._lost[mine].id, self._lost[mine].looks) for mine, other in pairs}
        self._lost = [lost for index, lost in enumerate(self._lost) if index not in {mine for mine, _ in pairs}]
        return known

    def is_to_wait(self, box: Box, look: Look | None, time_seconds: float) -> bool:
        """Whether it is too early to treat a face that was not recalled as a new one.

        People who come out from behind something are only partly visible at first. So a face found within reach of a
        lost one waits for a moment.
        """
        waits = False
        for lost in self._lost:
            if look is not None and box_distance(lost.box, box) <= lost.reach(time_seconds):
                lost.met_seconds = min(lost.met_seconds, time_seconds)
                waits |= time_seconds - lost.met_seconds < _WAITING_SECONDS
        return waits
