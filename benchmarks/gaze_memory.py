"""Memory for a long video, by the number of frames, and for one huge picture."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from benchmarks.report import Row

_FRAMES = (1_000, 2_000, 5_000, 10_000)
_MEGAPIXELS = 50
_VIDEO = """
import sys
from pathlib import Path
import cv2
import numpy as np
from onepass.gaze import GazeEstimator, GazeTracker, draw_faces, open_table
from onepass.media import Frame, VideoSink

def resident():
    status = open('/proc/self/status').read()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmRSS')) / 1024

portrait = np.load(sys.argv[1])
marks = [int(word) for word in sys.argv[3:]]

def frames():
    for index in range(marks[-1]):
        move = np.array([[1, 0, 4 * np.sin(index / 20)], [0, 1, 3 * np.cos(index / 15)]])
        yield Frame(cv2.warpAffine(portrait, move, (240, 180)), index, index / 30, str(index))

folder = Path(sys.argv[2])
with (
    GazeEstimator.from_default('small') as estimator,
    open_table(folder / 'gaze.csv') as table,
    open_table(folder / 'gaze.parquet') as columns,
    VideoSink(folder / 'gaze.mp4') as sink,
):
    for result in GazeTracker(estimator).stream(frames()):
        sink.write(result.frame, draw_faces(result.frame.picture, result.faces))
        table.write(result)
        columns.write(result)
        if result.frame.index + 1 in marks:
            print(resident(), flush=True)
"""
_PICTURE = """
import sys
from onepass.cli import main

def peak():
    status = open('/proc/self/status').read()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmHWM')) / 1024

try:
    main(['gaze', sys.argv[1], '-o', sys.argv[2]])
except SystemExit as end:
    print(peak() if not end.code else end.code)
"""


def measure() -> list[Row]:
    """Return one row per number of frames, and one for the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        portrait = Path(scratch, "portrait.npy")
        np.save(portrait, skimage.data.astronaut()[20:200, 100:340])  # type: ignore[no-untyped-call]
        sizes = _printed(_VIDEO, portrait, scratch, *_FRAMES)
        rows: list[Row] = [
            {"what": f"video, tables and drawing, after {frames} frames", "MB": round(float(size))}
            for frames, size in zip(_FRAMES, sizes, strict=True)
        ]
        height = round((_MEGAPIXELS * 1e6 * 3 / 4) ** 0.5)
        huge, annotated = Path(scratch, "huge.jpg"), Path(scratch, "annotated.jpg")
        face = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)  # type: ignore[no-untyped-call]
        cv2.imwrite(str(huge), cv2.resize(face, (height * 4 // 3, height)))
        peak = float(_printed(_PICTURE, huge, annotated)[-1])
        rows.append({"what": f"peak, a picture of {_MEGAPIXELS} megapixels annotated", "MB": round(peak)})
        return rows


def _printed(script: str, *words: object) -> list[str]:
    """Run a script in a separate process and return the lines it printed."""
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], check=True, capture_output=True, text=True
    )
    return result.stdout.splitlines()
