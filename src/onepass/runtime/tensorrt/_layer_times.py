"""The time of each layer of an engine, measured by TensorRT's profiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from onepass.engine.layers import Layer, TimedLayer, outputs_served
from onepass.outputs import Array
from onepass.runtime.gpu.frozen_pass import Pass
from onepass.runtime.tensorrt._engine import Engine

_RUNS = 20


def time_layers(engine: Engine, one: Pass, feeds: Mapping[str, Array]) -> tuple[TimedLayer, ...]:
    """Run a pass several times with TensorRT's profiler; return the median of each layer, in TensorRT's order.

    A profiled pass is not recorded, and TensorRT waits after each layer, so the sum is longer than the pass itself.
    """
    runs = one.watched(feeds, _make_profiler(engine.flavor.module), _RUNS + 1)
    layers = one.layers() if engine.flavor.can_inspect else []
    return _matched(engine, layers, _medians(runs[1:]))  # TensorRT finishes setting shapes up in the first


def _medians(runs: Sequence[Sequence[tuple[str, float]]]) -> list[tuple[str, float]]:
    names = dict.fromkeys(name for run in runs for name, _ in run)
    # A layer inside a loop is told of once a turn.
    sums = [{name: sum(ms for each, ms in run if each == name) for name in names} for run in runs]
    return [(name, median(each[name] for each in sums)) for name in names]


def _matched(engine: Engine, layers: Sequence[Layer], times: Sequence[tuple[str, float]]) -> tuple[TimedLayer, ...]:
    served = outputs_served(layers, {edge.tensor: edge.spec.name for edge in engine.outputs})
    known = {layer.name: (layer, outputs) for layer, outputs in zip(layers, served, strict=True)}
    found = []
    for name, milliseconds in times:
        layer, outputs = known.get(name, (Layer(name, "", ()), ()))
        found.append(TimedLayer(layer, milliseconds, outputs))
    return tuple(found)


def _make_profiler(module: Any) -> Any:
    class Profiler(module.IProfiler):  # type: ignore[misc] # the base class is known only at run time
        def __init__(self) -> None:
            module.IProfiler.__init__(self)  # pybind11 requires an explicit call, not super()
            self._told: list[tuple[str, float]] = []

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self._told.append((layer_name, ms))

        def take(self) -> list[tuple[str, float]]:
            told, self._told = self._told, []
            return told

    return Profiler()
