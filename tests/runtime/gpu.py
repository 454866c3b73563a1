"""Engines and GPUs for tests of the TensorRT backend: stand-ins on any machine, the real ones where there is a GPU."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from onepass.engine import BuildOptions, Plan, plan_from_graph
from onepass.graph import OnnxGraph
from onepass.runtime import Session, load
from onepass.runtime.gpu.compute_queue import Lane
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed
from tests.fakes.onnxruntime_cuda import Provider, cuda_provider
from tests.fakes.tensorrt import make_tensorrt
from tests.threads import wait
from tests.zoo import Animal

BUILDERS = ("8.5.3", "10.0.1", "10.16.1", "11.4.0", "rtx-1.7.1")
"""Stand-ins that build and run."""

# What a model of the zoo needs to be told of values that shape other tensors.
_VALUES: Mapping[str, Mapping[str, Any]] = {"a loop that shadows an output": {"n": (1, 2, 8)}}


# What is there by now stays; collecting garbage after each test need not look at all of it again.
gc.freeze()


@contextmanager
def fake_gpu(api: str, *, results_gone: bool = False, **options: Any) -> Iterator[tuple[FakeCuda, Any]]:
    """Install a stand-in for one TensorRT and for CUDA; at the end nothing may be left over, and no rule broken.

    Args:
        api: Which TensorRT.
        results_gone: Whether the block has let go of all results too, so that no memory may be left.
        options: Of `FakeCuda`. Work is lazy unless they say otherwise: what is not waited for is not there.
    """
    capability = (8, 9) if api.startswith("rtx") else (9, 0)  # TensorRT-RTX does not run on data centre GPUs
    cuda = FakeCuda(**{"lazy": True, "capability": capability, **options})
    trt = make_tensorrt(api, cuda)
    with installed(trt, cuda=cuda):
        yield cuda, trt
        objects = trt.live  # which collects garbage first
    assert not cuda.faults, cuda.faults
    left = {kind: count for kind, count in cuda.live.items() if count and (results_gone or "memory" not in kind)}
    assert not left, f"left over: {left}"
    assert not objects, f"left over: {objects}"


@contextmanager
def fake_cuda_provider(*, results_gone: bool = False, **options: Any) -> Iterator[tuple[FakeCuda, Provider]]:
    """Let ONNX Runtime have a stand-in for its CUDA provider; at the end nothing may be left over, no rule broken.

    Args:
        results_gone: Whether the block has let go of all results too, so that no memory may be left.
        options: Of `FakeCuda`; work is lazy unless they say otherwise.
    """
    cuda = FakeCuda(**{"lazy": True, **options})
    with cuda_provider(cuda) as provider:
        yield cuda, provider
        sessions = provider.live  # which collects garbage first
    assert not cuda.faults, cuda.faults
    left = {kind: count for kind, count in cuda.live.items() if count and (results_gone or "memory" not in kind)}
    assert not left, f"left over: {left}"
    assert not sessions, f"left over: {sessions} sessions"


@contextmanager
def fake_session(
    kind: str, model: OnnxGraph | Animal, *, contexts: int | None = None, **options: Any
) -> Iterator[tuple[FakeCuda, Session]]:
    """Open a model on a stand-in: on a TensorRT, given by its version, or on ONNX Runtime's CUDA provider, ``cuda``.

    Args:
        kind: Where.
        model: The model; of a model of the zoo the cases say which shapes an engine is for.
        contexts: As of `onepass.load`.
        options: What an engine is built with.
    """
    graph = model.graph if isinstance(model, Animal) else model
    if kind == "cuda":
        with fake_cuda_provider() as (cuda, _), load(graph, providers=["cuda"], contexts=contexts) as session:
            yield cuda, session
        return
    with fake_gpu(kind) as (cuda, _):
        plan = plan_for(model) if isinstance(model, Animal) else plan_of(graph, **options)
        with load(plan, contexts=contexts) as session:
            yield cuda, session


@contextmanager
def busy(call: Callable[[], Any]) -> Iterator[list[Any]]:
    """Let a call wait for its results while a block runs; what came of it is in the list afterwards."""
    waits, over = threading.Event(), threading.Event()
    results: list[Any] = []
    finish = Lane.finish

    def held_finish(lane: Lane[Any]) -> None:
        if threading.current_thread() is thread:
            waits.set()
            wait(over)
        finish(lane)

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            results.append(error)

    thread = threading.Thread(target=work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lane, "finish", held_finish)
        thread.start()
        wait(waits)
        try:
            yield results
        finally:
            over.set()
            thread.join(20)


class Foreign:
    """An array of another library in the memory of a fake GPU, by the CUDA array interface."""

    def __init__(self, pointer: int, array: np.ndarray[Any, Any]) -> None:
        self.__cuda_array_interface__ = {
            "shape": array.shape, "typestr": array.dtype.str, "data": (pointer, False), "version": 3,
        }  # fmt: skip


@contextmanager
def on_gpu(cuda: FakeCuda, array: np.ndarray[Any, Any], device: int) -> Iterator[Foreign]:
    """Lay an array into the memory of a fake GPU for the length of a block."""
    before, cuda_context = cuda.current, cuda.primary[device]
    _, handle = cuda.cuDeviceGet(device)
    cuda.cuDevicePrimaryCtxRetain(handle)
    cuda.set_current(cuda_context)
    _, pointer = cuda.cuMemAlloc(array.nbytes)
    cuda.set_current(before)
    ctypes.memmove(int(pointer), np.ascontiguousarray(array).ctypes.data, array.nbytes)
    yield Foreign(int(pointer), array)
    cuda.set_current(cuda_context)
    cuda.cuMemFree(pointer)
    cuda.set_current(before)
    cuda.cuDevicePrimaryCtxRelease(handle)


def on_host(array: Any) -> np.ndarray[Any, Any]:
    """Return a copy of what lies in the memory of a fake GPU."""
    copy = np.empty(array.shape, array.dtype)
    ctypes.memmove(copy.ctypes.data, array.address, array.nbytes)
    return copy


def options_for(animal: Animal, *, first_rank: bool = False) -> BuildOptions:
    """Return options whose one profile holds all cases of a model of the zoo.

    Args:
        animal: The model.
        first_rank: Of an input whose cases differ in rank, which no engine takes, hold those of the first one's rank;
            otherwise nothing is said of it, so that the build is refused.
    """
    shapes = {}
    for spec in animal.graph.signature.inputs:
        cases = [case[spec.name].shape for case in animal.cases]
        same = [case for case in cases if len(case) == len(cases[0])]
        if not spec.is_static and (first_rank or same == cases):
            least, greatest = (tuple(f(sizes) for sizes in zip(*same, strict=True)) for f in (min, max))
            shapes[spec.name] = (least, greatest, greatest)
    return BuildOptions(shapes=[shapes], values=_VALUES.get(animal.name, {}))


def plan_for(animal: Animal, **options: Any) -> Plan:
    """Build an engine of a model of the zoo with the TensorRT that is there."""
    return plan_from_graph(animal.graph, options_for(animal), **options)


def plan_of(graph: OnnxGraph, **options: Any) -> Plan:
    """Build an engine of a graph with the TensorRT that is there."""
    return plan_from_graph(graph, BuildOptions(**options))


def calls_of(cuda: FakeCuda, call: Callable[[], Any]) -> Counter[str]:
    """Return how often a call asks CUDA for what, but for which context is current."""
    before = Counter(cuda.calls)
    call()
    found = Counter(cuda.calls) - before
    found.pop("cuCtxGetCurrent", None)
    return found
