"""The full result for one picture: `Analysis`, and the clock for its stages."""

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
    """The full result for one picture.

    Attributes:
        faces: The faces, in the finder's order.
        crops: The crops of the last pass, in the order of the eyes of `faces`, face by face.
        outputs: All outputs of the last pass by name; None without a face, and thus without a pass.
        passes: Number of passes; 0 without a face.
        seconds_by_stage: Time in "grey", "faces", "crops", "network" and "decode", summed over all passes; for
            pictures analysed together, each picture's share.
    """

    faces: tuple[Face, ...]
    crops: EyeCrops
    outputs: Outputs | None
    passes: int
    seconds_by_stage: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Total time of all stages."""
        return sum(self.seconds_by_stage.values())

    @property
    def pass_seconds(self) -> float:
        """Mean time of one pass of the network over all eyes; 0 without a face."""
        return self.seconds_by_stage["network"] / self.passes if self.passes else 0.0


class Clock:
    """Sum the time spent in named stages."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(("grey", "faces", "crops", "network", "decode"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block towards a stage."""
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start

    def shared_by(self, pictures: int) -> Mapping[str, float]:
        """Return each picture's share of the seconds of each stage, read-only."""
        return MappingProxyType({name: seconds / max(pictures, 1) for name, seconds in self._seconds.items()})
