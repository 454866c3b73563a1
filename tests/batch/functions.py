"""Functions that tests give to ``preprocess=``; the processes that do the work import them by name."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

BAD = -1.0
"""What a row begins with that is meant to fail."""


def doubled(row: Mapping[str, Any]) -> Any:
    """Return twice a row's array."""
    return row["x"] * np.float32(2)


def mean_colour(picture: Any) -> Any:
    """Return four numbers of a picture."""
    return np.array([*picture.mean((0, 1)), picture.shape[0]], np.float32)


def raising(row: Mapping[str, Any]) -> Any:
    """Fail by an exception of nobody's."""
    if row["x"][0] == BAD:
        raise ZeroDivisionError("of this row")
    return row["x"]


def leaving(row: Mapping[str, Any]) -> Any:
    """Ask for what no one answers, and leave at a bad row by a way that is meant for programs."""
    assert not sys.stdin.read()
    if row["x"][0] == BAD:
        sys.exit("with a name that is no text: \udce9")
    return row["x"]


def killed(row: Mapping[str, Any]) -> Any:
    """End the process at a bad row, every time."""
    if row["x"][0] == BAD:
        os.kill(os.getpid(), signal.SIGKILL)
    return row["x"]


def killed_once(row: Mapping[str, Any]) -> Any:
    """End the process at a bad row, as often as there are files in the folder that a variable names."""
    if row["x"][0] == BAD:
        for mark in Path(os.environ["MARKS"]).iterdir():
            mark.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return row["x"]


def stuck(row: Mapping[str, Any]) -> Any:
    """Never come back from a bad row."""
    while row["x"][0] == BAD:
        time.sleep(1)
    return row["x"]


def slow(row: Mapping[str, Any]) -> Any:
    """Take a moment."""
    time.sleep(0.004)
    print("this is no answer")  # noqa: T201 - what it says must not be taken for one
    return row["x"]


def on_gpu(row: Mapping[str, Any]) -> Any:
    """Say which GPU this process sees."""
    time.sleep(0.05)  # so that no worker does it all
    return np.full(4, float(os.environ["CUDA_VISIBLE_DEVICES"]), np.float32)
