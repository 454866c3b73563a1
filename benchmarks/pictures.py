"""Prepare a decoder's bytes for a network, outside with NumPy and inside the graph: times, and the difference.

The network is small, one convolution and a mean, so that the preparation dominates. With engines instead of ONNX
Runtime: ``python -m benchmarks.pictures`` on a machine with a GPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import onepass
from benchmarks.report import Row, write_results
from onepass import OnnxGraph, Session
from onepass.graph.pictures import with_picture_input
from onepass.outputs import Array

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIZES = ((1, 224, 224), (1, 640, 640), (8, 224, 224))
_SECONDS = 6.0
_NETWORK = """<ir_version: 9, opset_import: ["" : 17]>
g (float[N, 3, H, W] image) => (float[N, 16, 1, 1] mean, float[N, 3, 1, 1] top) {
    features = Conv <strides = [4, 4], pads = [1, 1, 1, 1]> (image, weights)
    mean = GlobalAveragePool (features)
    top = GlobalMaxPool (image)
}"""


def measure(*, engine: bool = False) -> list[Row]:
    """Return one row per picture size and method."""
    return [row for size in _SIZES for row in _rows(size, engine=engine)]


def _rows(size: tuple[int, int, int], *, engine: bool) -> list[Row]:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with _opened(size, engine=engine, pictures=False) as plain, _opened(size, engine=engine, pictures=True) as bytes_in:
        ways: dict[str, Callable[[], Any]] = {
            "outside, NumPy": lambda: plain(image=_prepared(pixels)),
            "in the graph": lambda: bytes_in(image=pixels),
        }
        times = _times_in_turn(ways)
        expected, outputs = plain(image=_prepared(pixels)), bytes_in(image=pixels)
        apart = max(float(np.abs(outputs[name] - expected[name]).max()) for name in expected)
    return [
        {
            "pictures": "x".join(map(str, size)),
            "prepared": name,
            "median ms": round(float(np.median(times[name])), 2),
            "p90 ms": round(float(np.percentile(times[name], 90)), 2),
            "greatest difference of an output": f"{apart:.1e}" if name == "in the graph" else "",
        }
        for name in ways
    ]


def _prepared(pixels: Array) -> Array:
    """Prepare BGR pictures as programs usually do."""
    scaled = pixels[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(
        ((scaled - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)).transpose(0, 3, 1, 2)
    )


def _opened(size: tuple[int, int, int], *, engine: bool, pictures: bool) -> Session:
    graph = OnnxGraph(onnx.parser.parse_model(_NETWORK))
    weights = np.random.default_rng(1).uniform(-0.1, 0.1, (16, 3, 3, 3)).astype(np.float32)
    graph.proto.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    if pictures:
        graph = with_picture_input(graph, "image", reverse=True, mean=_MEAN, std=_STD)
    if not engine:
        return onepass.load(graph)
    batch, height, width = size
    tactics = os.environ.get("TACTIC_SOURCES", "").split() or None
    return onepass.load(onepass.build(graph, sizes={"N": batch, "H": height, "W": width}, tactic_sources=tactics))


def _times_in_turn(ways: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end:
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: each[5:] for name, each in times.items()}


if __name__ == "__main__":
    write_results("pictures_engine", measure(engine=True))
