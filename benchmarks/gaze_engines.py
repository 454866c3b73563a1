"""``python -m benchmarks.gaze_engines PORTRAIT ELG DETECTOR MESH ...``: gaze end to end, by stage, with any networks.

PORTRAIT is scikit-image's picture of the astronaut. Each of ELG, DETECTOR (BlazeFace) and MESH (FaceMesh) is an ONNX
file or an engine; several sets of three are measured in sequence. 640x480 frames with one and with four faces are
searched independently, and followed as a clip.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import onepass
from benchmarks.raw_engine import where_of
from benchmarks.report import Row, write_results
from benchmarks.swaying import LAYOUTS, swaying
from onepass import Session
from onepass.gaze import Face, GazeEstimator, GazeTracker
from onepass.gaze.find.mesh import MeshFinder
from onepass.media import read_picture

_EVERY = 10
_FRAMES = 120
_WARM_UP = 20


class _Timed:
    """A timed session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.signature = session.signature
        self.seconds = 0.0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        outputs = self._session(*arguments, **named)
        self.seconds += time.perf_counter() - start
        return outputs


def _row(what: str, faces: int, stages: Mapping[str, _Timed], look: Callable[[int], Sequence[Face]]) -> Row:
    for index in range(_WARM_UP):
        look(index)
    for each in stages.values():
        each.seconds = 0.0
    times, eyes = [], 0
    for index in range(_WARM_UP, _WARM_UP + _FRAMES):
        start = time.perf_counter()
        found = look(index)
        times.append(time.perf_counter() - start)
        eyes += sum(len(face.eyes) for face in found)
    total = sum(times)
    row: Row = {"faces": faces, "": what, "eyes seen": round(eyes / _FRAMES, 2)}
    row |= {"frames / s": round(_FRAMES / total, 1), "ms a frame": round(statistics.median(times) * 1e3, 2)}
    row |= {f"{name} ms": round(each.seconds / _FRAMES * 1e3, 2) for name, each in stages.items()}
    row["around them ms"] = round((total - sum(each.seconds for each in stages.values())) / _FRAMES * 1e3, 2)
    return row


def measure(portrait: str, elg: str, detector: str, mesh: str) -> list[Row]:
    """Return one row per number of faces, for independent frames and for a clip."""
    picture = np.asarray(read_picture(portrait))
    name = Path(elg).name
    rows = []
    with onepass.load(elg) as eyes, onepass.load(detector) as faces_in, onepass.load(mesh) as points:
        stages = {"detector": _Timed(faces_in), "mesh": _Timed(points), "eyes": _Timed(eyes)}
        for faces, (parts, zoom) in LAYOUTS.items():
            frames = swaying(picture, parts, zoom)
            finder = MeshFinder(stages["detector"], stages["mesh"], max_faces=faces)  # type: ignore[arg-type]
            estimator = GazeEstimator(stages["eyes"], finder)  # type: ignore[arg-type]
            tracker = GazeTracker(estimator, every=_EVERY, max_faces=faces)

            def alone(index: int) -> Sequence[Face]:
                return estimator(frames[index % len(frames)])  # noqa: B023 - called in this turn of the loop

            def followed(index: int) -> Sequence[Face]:
                return tracker(frames[index % len(frames)], index / 30)  # noqa: B023 - likewise

            rows += [
                _row(f"{name}, every frame searched", faces, stages, alone),
                _row(f"{name}, followed", faces, stages, followed),
            ]
    return rows


def main() -> None:
    """Measure and write ``results/gaze_engines.*``."""
    portrait, *words = sys.argv[1:] or [""]
    if not words or len(words) % 3:
        sys.exit(f"usage: python -m benchmarks.gaze_engines PORTRAIT ELG DETECTOR MESH ...\n\n{__doc__}")
    sets = [words[first : first + 3] for first in range(0, len(words), 3)]
    engine = next((word for word in words if word.endswith(".engine")), None)
    rows = [row for each in sets for row in measure(portrait, *each)]
    write_results("gaze_engines", rows, where=where_of(engine) if engine else {})


if __name__ == "__main__":
    main()
