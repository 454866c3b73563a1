"""Who is who: which of the faces that were found is which of those that are followed, or were a moment ago."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onepass.gaze.result import Box
from onepass.gaze.video._likeness import Likeness, Look

SAME_FACE = 0.8
"""Looks that are this much alike are at one face."""

OTHER_FACE = 0.6
"""Looks that are less alike than this are not; between the two it is not sure."""

MEMORY_SECONDS = 1.0
"""For so long a face that was lost keeps its number."""

SAME_PLACE = 0.8
"""Two looks at one face lie at most so far apart, middle to middle, in face widths."""

# And differ in width at most by that.
_SAME_WIDTH = 2.0
# How fast a face can move while it is not seen, in its widths a second.
_FASTEST = 4.0
# For so long a face that may be a lost one is looked at before it gets a number of its own.
_WAITING_SECONDS = 0.2


def assign(
    known: Sequence[Box],
    found: Sequence[Box],
    *,
    reach: Callable[[int], float] = lambda _: SAME_PLACE,
    unlike: Callable[[int, int], float] = lambda _mine, _other: 0.0,
) -> list[tuple[int, int]]:
    """Return which known box is which found one, as pairs of their indices: the best pairs first, each box once.

    Args:
        known: Where faces were.
        found: Where faces are.
        reach: How far a known one can have moved, in face widths.
        unlike: How little a known face looks like a found one, in the same unit; infinite where it is another.
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
    """Return how far two boxes are apart, in their mean width; infinite where they differ too much in width."""
    wide, narrow = max(first.width_px, second.width_px), min(first.width_px, second.width_px)
    if wide > _SAME_WIDTH * narrow:
        return float("inf")
    return math.dist(first.centre, second.centre) / ((wide + narrow) / 2)


def unlikeness(likeness: float | None, least: float) -> float:
    """Return what a likeness counts beside distances in face widths; infinite where it is less than that."""
    if likeness is None:
        return 0.0
    return 1 - likeness if likeness >= least else math.inf


@dataclass(slots=True)
class _Lost:
    id: int
    box: Box
    looks: Likeness
    seconds: float
    met_seconds: float = math.inf  # when another face was first found where it can be

    def reach(self, time_seconds: float) -> float:
        """Return how far it can have come, in face widths."""
        return SAME_PLACE + _FASTEST * (time_seconds - self.seconds)


class Memory:
    """The faces that were lost a moment ago, and might come back."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._lost: list[_Lost] = []

    def __bool__(self) -> bool:
        """Whether there is anybody to remember."""
        return bool(self._lost)

    def add(self, number: int, box: Box, looks: Likeness, time_seconds: float) -> None:
        """Remember a face that was lost."""
        self._lost.append(_Lost(number, box, looks, time_seconds))

    def forget(self, time_seconds: float) -> None:
        """Forget those whose time is over."""
        self._lost = [lost for lost in self._lost if time_seconds - lost.seconds <= MEMORY_SECONDS]

    def recall(self, faces: Sequence[tuple[Box, Look | None]], time_seconds: float) -> dict[int, tuple[int, Likeness]]:
        """Return which new faces are known, by their indices: their numbers and looks. They are forgotten here.

        A face that looks like one that was lost is that one, if it can have come so far. Where there is nothing to
        compare, it is where it was lost.
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
        """Whether it is too early to say that a face, which was not recalled, is none of those that were lost.

        Who comes out from behind something is seen in part first. So a face that is found where a lost one can be waits
        for a moment.
        """
        waits = False
        for lost in self._lost:
            if look is not None and box_distance(lost.box, box) <= lost.reach(time_seconds):
                lost.met_seconds = min(lost.met_seconds, time_seconds)
                waits |= time_seconds - lost.met_seconds < _WAITING_SECONDS
        return waits
