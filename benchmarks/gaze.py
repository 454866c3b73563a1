"""Frames per second of gaze on one core, by stage, with one and four faces, compared with MediaPipe's face mesh.

``ONEPASS_MEDIAPIPE_PYTHON`` names a Python that has MediaPipe 0.10.21, in its own environment, because it needs an
older NumPy: ``python -m venv mp && mp/bin/pip install mediapipe==0.10.21``. Without it, MediaPipe has no row.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from benchmarks.gaze_worker import VARIANTS, is_here
from benchmarks.report import Row
from benchmarks.swaying import LAYOUTS, swaying

_ROUNDS = 5
# Enough for the slowest variant to search for faces more than once, and no more.
_FRAMES_A_ROUND = 20
_MEDIAPIPE = "MediaPipe 0.10.21 face mesh and iris"


def measure() -> list[Row]:
    """Return one row per finder and number of faces."""
    with tempfile.TemporaryDirectory() as scratch:
        rows: list[Row] = []
        for faces, (parts, zoom) in LAYOUTS.items():
            clip = Path(scratch, f"{faces}.npy")
            np.save(clip, swaying(skimage.data.astronaut(), parts, zoom))  # type: ignore[no-untyped-call]
            rows += _rows(clip, faces)
        return rows


class _Worker:
    """A process that processes the clip, some frames at a time."""

    def __init__(self, name: str, clip: Path, faces: int) -> None:
        folder = Path(__file__).parent
        if name == _MEDIAPIPE:
            command = [os.environ["ONEPASS_MEDIAPIPE_PYTHON"], str(folder / "mediapipe_worker.py")]
        else:
            command = [sys.executable, "-m", "benchmarks.gaze_worker", name]
        self._process = subprocess.Popen(
            [*command, str(clip), str(faces)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=folder.parent, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.run(_FRAMES_A_ROUND)  # warm

    def run(self, frames: int) -> dict[str, Any]:
        """Process this many more frames, and return the times."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self._process.stdin.write(f"{frames}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _rows(clip: Path, faces: int) -> list[Row]:
    names = [name for name in VARIANTS if is_here(name)]
    if "ONEPASS_MEDIAPIPE_PYTHON" in os.environ:
        names.append(_MEDIAPIPE)
    workers = {name: _Worker(name, clip, faces) for name in names}
    answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(_ROUNDS):  # in turn, so that what else the machine does falls on all
        for name, worker in workers.items():
            answers[name].append(worker.run(_FRAMES_A_ROUND))
    for worker in workers.values():
        worker.close()
    base = [answer["cpu_seconds"] for answer in answers.get(_MEDIAPIPE, [])]
    return [_row(name, faces, answers[name], base) for name in names]


def _row(name: str, faces: int, answers: list[dict[str, Any]], base: list[float]) -> Row:
    times = [answer["cpu_seconds"] for answer in answers]
    ratios = [theirs / mine for mine, theirs in zip(times, base, strict=False)]

    def stage(key: str) -> float | str:
        found = [answer["stages"][key] for answer in answers if key in answer["stages"]]
        return round(statistics.median(found) / _FRAMES_A_ROUND * 1e3, 2) if found else ""

    return {
        "faces": faces,
        "found by": name,
        "eyes seen": round(statistics.mean(answer["eyes"] for answer in answers) / _FRAMES_A_ROUND, 2),
        "frames / s": round(_FRAMES_A_ROUND / statistics.median(times), 1),
        "× MediaPipe": round(statistics.median(ratios), 2) if ratios else "",
        "ms a frame": round(statistics.median(times) / _FRAMES_A_ROUND * 1e3, 2),
        "find ms": stage("find"),
        "network ms": stage("network"),
        "around them ms": stage("rest"),
    }
