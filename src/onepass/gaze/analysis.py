"""All that one look at a picture gave: `Analysis`, and the clock that timed it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from onepass.gaze.eyes import EyeCrops
from onepass.gaze.result import Face
from onepass.outputs import Outputs


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that one look at a picture gave.

    Attributes:
        faces: The faces, in the finder's order.
        crops: What the last pass was given; its eyes are those of `faces`, face by face.
        outputs: All outputs of the last pass by name, or None where there was no face and so no pass.
        passes: How many passes there were; none without a face.
        seconds_by_stage: Time spent in "grey", "faces", "crops", "network" and "decode", all passes together; of
            pictures that were analysed together, the share of each.
    """

    faces: tuple[Face, ...]
    crops: EyeCrops
    outputs: Outputs | None
    passes: int
    seconds_by_stage: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Time of all stages together."""
        return sum(self.seconds_by_stage.values())

    @property
    def pass_seconds(self) -> float:
        """Mean time of one pass of the network over all eyes; 0 without a face."""
        return self.seconds_by_stage["network"] / self.passes if self.passes else 0.0


class Clock:
    """Adds up the time spent in named stages."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(("grey", "faces", "crops", "network", "decode"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block towards a stage."""
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start

    def shared_by(self, pictures: int) -> Mapping[str, float]:
        """Return the seconds of each stage for each of so many pictures, read-only."""
        return MappingProxyType({name: seconds / max(pictures, 1) for name, seconds in self._seconds.items()})
