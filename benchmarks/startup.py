"""Time of ``import onepass``, ``onepass --help`` and opening a model, compared with a bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.report import Row
from onepass.gaze.model import model_path

_RUNS = 15
_MODEL = str(model_path("small"))
_COMMANDS: dict[str, list[str]] = {
    "bare Python": [sys.executable, "-c", "pass"],
    "import onepass": [sys.executable, "-c", "import onepass"],
    "onepass --help": [str(Path(sys.executable).with_name("onepass")), "--help"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "from onepass import load": [sys.executable, "-c", "from onepass import load"],
    "onepass.load of the small network": [sys.executable, "-c", f"import onepass; onepass.load({_MODEL!r})"],
    "onnxruntime.InferenceSession of it": [
        sys.executable,
        "-c",
        f"import onnxruntime; onnxruntime.InferenceSession({_MODEL!r}, providers=['CPUExecutionProvider'])",
    ],
    "import onnx, onnxruntime": [sys.executable, "-c", "import onnx, onnxruntime"],
}


def measure() -> list[Row]:
    """Return one row per command: seconds for the whole process, and over a bare Python."""
    seconds: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(_RUNS):
        for name, command in _COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begin)
    bare = float(np.median(seconds["bare Python"]))
    return [
        {
            "command": name,
            "median s": round(float(np.median(times)), 3),
            "min s": round(min(times), 3),
            "over bare Python s": round(float(np.median(times)) - bare, 3),
        }
        for name, times in seconds.items()
    ]
