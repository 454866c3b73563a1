"""Engines for the GPU that is here, arrays in its memory, and results that are compared to the bit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onepass import OnnxGraph, Plan, Session
from onepass.engine import BuildOptions, plan_from_graph
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from tests.checker import assert_same
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads
from tests.zoo import Arrays

# For machines whose TensorRT lacks a library that kernels may come from (cuDNN, say): the sources that are there.
_TACTICS = os.environ.get("TACTIC_SOURCES", "").split()


def plan_for(graph: OnnxGraph, options: BuildOptions) -> Plan:
    """Build an engine, from kernels that there are libraries for."""
    return plan_from_graph(graph, replace(options, tactic_sources=_TACTICS) if _TACTICS else options)


def plan_of(graph: OnnxGraph, **options: Any) -> Plan:
    """Build an engine with some options."""
    return plan_for(graph, BuildOptions(**options))


class OnGpu:
    """An array in the GPU's memory, by the CUDA array interface."""

    def __init__(self, device: Device, array: np.ndarray[Any, Any]) -> None:
        self._block = device.device_block(array.nbytes)
        stream = Stream(device)
        with device.current():
            stream.copy(self._block.address, array.ctypes.data, array.nbytes)
            stream.synchronize()
        self.__cuda_array_interface__ = {
            "shape": array.shape, "typestr": array.dtype.str, "data": (self._block.address, False), "version": 3,
        }  # fmt: skip


def on_host(array: Any) -> np.ndarray[Any, Any]:
    """Return a copy of an array that stayed on the GPU."""
    assert isinstance(array, DeviceArray)
    device = Device(array.device)
    copy = np.empty(array.shape, array.dtype)
    stream = Stream(device)
    with device.current():
        stream.copy(copy.ctypes.data, array.address, array.nbytes)
        stream.synchronize()
    return copy


def alone(session: Session, cases: Sequence[Arrays]) -> list[Arrays]:
    """Return what calls give one after the other, in memory of their own."""
    return [dict(session(case, copy=True)) for case in cases]


def same_bits(outputs: Any, expected: Arrays) -> bool:
    """Whether results are equal to the bit."""
    return all(np.array_equal(outputs[name], array, equal_nan=True) for name, array in expected.items())


def check_large_inputs(session: Session) -> None:
    """Check that the model with three heads is given inputs of several megabytes whole, by one caller and by two."""
    cases = [{"x": x_of(rows, seed)} for seed, rows in enumerate((299_999, 150_001, 70_000))]
    for case in cases * 3:
        assert_same(session(case), THREE.reference(case))
    expected = alone(session, cases)

    def work(number: int) -> None:
        for turn in range(20):
            assert same_bits(session(cases[(turn + number) % 3]), expected[(turn + number) % 3])

    in_threads(2, work)
