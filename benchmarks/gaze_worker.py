"""One variant of gaze on one core: reads numbers of frames, answers with their times."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from onepass.gaze import Face, FaceFinder, FoundFace, GazeEstimator, GazeTracker
from onepass.gaze.find.faces import FaceFollower
from onepass.gaze.find.fetched import are_fetched
from onepass.gaze.find.finders import open_finder
from onepass.gaze.geometry import Grey
from onepass.gaze.model import open_model
from onepass.runtime import Session

_CORE = 0

# Name: finder, network, and how many frames lie between two searches (None: each frame for itself).
VARIANTS: Mapping[str, tuple[str, str, int | None]] = {
    "cascades, every frame": ("cascades", "default", None),
    "cascades": ("cascades", "default", 10),
    "cascades, small network": ("cascades", "small", 10),
    "mesh, every frame": ("mesh", "default", None),
    "mesh": ("mesh", "default", 10),
    "mesh, small network": ("mesh", "small", 10),
}


def is_here(name: str) -> bool:
    """Whether the models of a variant have been fetched."""
    return VARIANTS[name][0] != "mesh" or are_fetched()


class _Timed:
    """A timed finder."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self.seconds = 0.0

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        start = time.process_time()
        faces = self._finder(grey)
        self.seconds += time.process_time() - start
        return faces


class _TimedFollower(_Timed):
    """The same, for a finder that follows faces."""

    def __init__(self, finder: FaceFollower) -> None:
        super().__init__(finder)
        self._follower = finder

    def follow(self, grey: Grey, faces: Sequence[FoundFace], /) -> list[FoundFace | None]:
        start = time.process_time()
        found = self._follower.follow(grey, faces)
        self.seconds += time.process_time() - start
        return found


class _TimedSession:
    """A timed session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.signature = session.signature
        self.seconds = 0.0

    def __call__(self, feeds: Mapping[str, Any]) -> Any:
        start = time.process_time()
        outputs = self._session(feeds)
        self.seconds += time.process_time() - start
        return outputs


def main(name: str, clip: str, faces: str) -> None:
    """Answer each line, a number of frames, with their time and the number of eyes seen."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {_CORE})
    cv2.setNumThreads(1)
    frames = np.load(Path(clip))
    kind, network, every = VARIANTS[name]
    inner = open_finder(kind, max_faces=int(faces))
    finder = _TimedFollower(inner) if isinstance(inner, FaceFollower) else _Timed(inner)
    session = _TimedSession(open_model(network))
    estimator = GazeEstimator(session, finder)  # type: ignore[arg-type] # all that it asks of a session
    look: Callable[[int], Sequence[Face]]
    if every is None:

        def look(index: int) -> Sequence[Face]:
            return estimator(frames[index % len(frames)])
    else:
        tracker = GazeTracker(estimator, every=every, max_faces=int(faces))  # as MediaPipe is told

        def look(index: int) -> Sequence[Face]:
            return tracker(frames[index % len(frames)], index / 30)

    index = 0
    for line in sys.stdin:
        finder.seconds = session.seconds = 0.0
        eyes, start = 0, time.process_time()
        for index in range(index, index + int(line)):  # noqa: B020 - goes on where it was
            eyes += sum(len(face.eyes) for face in look(index))
        index += 1
        seconds = time.process_time() - start
        stages = {"find": finder.seconds, "network": session.seconds}
        stages["rest"] = seconds - sum(stages.values())
        print(json.dumps({"cpu_seconds": seconds, "eyes": eyes, "stages": stages}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
