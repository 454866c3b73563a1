"""Identity over time: faces followed through thirty synthetic clips (`benchmarks.clips`) with known truth.

Counted per kind of clip: faces shown where nobody is (ghosts), numbers that a person changes or takes over from another
(switches), faces in full view that are not shown (missed), swapped eyes, and the error of the gaze.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.clips import Clip, Truth, all_clips
from benchmarks.report import Row
from onepass.gaze import Face, Gaze, GazeEstimator, GazeTracker
from onepass.gaze.find.fetched import are_fetched

# A face is who it is when its eyes lie that near, in distances between the eyes.
_SAME = 0.5
# Eyes of which more than that can be seen must be seen; of which less than that, need not.
_IN_VIEW = 0.97
_HIDDEN = 0.05
# Somebody who was hidden for longer may have another number.
_MEMORY_SECONDS = 1.0


@dataclass
class Score:
    """The errors in a clip, and its numbers of frames and faces."""

    frames: int = 0
    in_view: int = 0
    ghosts: int = 0
    switches: int = 0
    missed: int = 0
    sides: int = 0
    gaze_deg: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Score) -> None:
        """Add the errors of another clip."""
        for name in ("frames", "in_view", "ghosts", "switches", "missed", "sides", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.gaze_deg += other.gaze_deg


def measure() -> list[Row]:
    """Return one row per kind of clip and finder."""
    rows: list[Row] = []
    clips = all_clips()
    for finder in ("cascades", *(["mesh"] if are_fetched() else [])):
        by_kind: defaultdict[str, Score] = defaultdict(Score)
        with GazeEstimator.from_default(finder=finder) as estimator:
            for clip in clips:
                by_kind[clip.kind].add(score(clip, estimator))
        total = Score()
        for each in by_kind.values():
            total.add(each)
        rows += [_row(finder, kind, each) for kind, each in [*by_kind.items(), ("all", total)]]
    return rows


def _row(finder: str, kind: str, score: Score) -> Row:
    return {
        "found by": finder,
        "clips": kind,
        "frames": score.frames,
        "faces in view": score.in_view,
        "ghosts": score.ghosts,
        "switches": score.switches,
        "missed": score.missed,
        "sides swapped": score.sides,
        "gaze off by °": round(statistics.median(score.gaze_deg), 1) if score.gaze_deg else "",
        "ms a frame": round(score.seconds / score.frames * 1e3, 1),
    }


def score(clip: Clip, estimator: GazeEstimator) -> Score:
    """Follow the faces of a clip, and compare them with the truth."""
    tracker = GazeTracker(estimator, max_faces=clip.max_faces)
    result, numbers = Score(), _Numbers()
    for picture, seconds, truths in clip.frames():
        start = time.process_time()
        faces = tracker(picture, seconds)
        result.seconds += time.process_time() - start
        numbers.forget(seconds, truths)
        _count(faces, truths, result, numbers, clip.max_faces)
    result.switches = numbers.switches
    return result


def _count(faces: Sequence[Face], truths: Sequence[Truth], result: Score, numbers: _Numbers, most: int | None) -> None:
    """Count the errors in a frame."""
    there = [truth for truth in truths if truth.visible > _HIDDEN]
    in_view = [truth for truth in truths if truth.visible > _IN_VIEW]
    pairs = _pairs(faces, there)
    result.frames += 1
    wanted = len(in_view) if most is None else min(most, len(in_view))
    result.in_view += wanted
    seen = sum(any(truth is other for _, other in pairs) for truth in in_view)
    result.missed += max(0, wanted - seen)
    result.ghosts += len(faces) - len(pairs)
    numbers.add((face.id, truth.who) for face, truth in pairs)
    for face, truth in pairs:
        if truth.visible <= _IN_VIEW:
            continue
        apart = float(np.linalg.norm(truth.eyes[1] - truth.eyes[0]))
        result.sides += any(
            float(np.linalg.norm(eye.iris.mean(axis=0) - truth.eyes[int(eye.side == "left")])) > _SAME * apart
            for eye in face.eyes
        )
        yaw, pitch = np.radians(truth.gaze_deg).tolist()
        result.gaze_deg.append(face.gaze.degrees_to(Gaze(pitch, yaw)))


def _pairs(faces: Sequence[Face], truths: Sequence[Truth]) -> list[tuple[Face, Truth]]:
    """Match faces to people: the nearest first, each once."""
    near = sorted(
        (distance, index, other)
        for index, face in enumerate(faces)
        for other, truth in enumerate(truths)
        if (distance := _distance(_middle(face), truth.eyes)) <= _SAME
    )
    pairs: dict[int, int] = {}
    for _, index, other in near:
        if index not in pairs and other not in pairs.values():
            pairs[index] = other
    return [(faces[index], truths[other]) for index, other in pairs.items()]


def _middle(face: Face) -> npt.NDArray[np.float64]:
    return np.asarray(np.mean([eye.iris.mean(axis=0) for eye in face.eyes], axis=0), np.float64)


def _distance(middle: npt.NDArray[np.float64], eyes: npt.NDArray[np.float64]) -> float:
    """Return the distance between a face and a person, in distances between the eyes."""
    return float(np.linalg.norm(middle - eyes.mean(axis=0)) / np.linalg.norm(eyes[1] - eyes[0]))


class _Numbers:
    """Which number belongs to whom; counts a person's change of number, and a number's change of owner."""

    def __init__(self) -> None:
        self._number_of: dict[tuple[str, int], int | None] = {}
        self._owner_of: dict[int | None, tuple[str, int]] = {}
        self._seen: dict[tuple[str, int], float] = {}
        self.switches = 0

    def forget(self, seconds: float, truths: Iterable[Truth]) -> None:
        """Allow new numbers for people who were away longer than a tracker remembers."""
        for truth in truths:
            if truth.visible > _HIDDEN:
                if seconds - self._seen.get(truth.who, seconds) > _MEMORY_SECONDS:
                    self._number_of.pop(truth.who, None)
                self._seen[truth.who] = seconds

    def add(self, pairs: Iterable[tuple[int | None, tuple[str, int]]]) -> None:
        """Add a frame's numbers and their owners."""
        for number, who in pairs:
            self.switches += self._number_of.get(who, number) != number or self._owner_of.get(number, who) != who
            self._number_of[who], self._owner_of[number] = number, who


if __name__ == "__main__":  # python -m benchmarks.gaze_clips mesh|cascades [PART OF A NAME]: clip by clip
    with GazeEstimator.from_default(finder=sys.argv[1]) as one:
        for one_clip in all_clips():
            if len(sys.argv) < 3 or sys.argv[2] in one_clip.name:
                it = score(one_clip, one)
                print(
                    f"{one_clip.kind:9} {one_clip.name:46} ghosts {it.ghosts:3} switches {it.switches:2} "
                    f"missed {it.missed:3}/{it.in_view:3} sides {it.sides:3} "
                    f"{it.seconds / it.frames * 1e3:6.1f} ms"
                )
