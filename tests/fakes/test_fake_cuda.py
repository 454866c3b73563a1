"""The stand-in for CUDA has the real names, and every rule of CUDA's that it keeps can be broken, and is noticed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.fakes.cuda import FakeCuda
from tests.fakes.facts import CUDA, cuda_facts
from tests.fakes.install import installed
from tests.fakes.rig import SIZE, Rig, bytes_at


@pytest.fixture
def rig() -> Rig:
    """Give each test a GPU of its own, whose work is done when it is waited for."""
    return Rig()


# ---- it is the real thing's likeness -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", CUDA)
def test_functions_have_the_real_names_and_parameters(version: str) -> None:
    """Each function of the fake takes what the real one takes, under the same names."""
    facts = cuda_facts(version)
    cuda = FakeCuda(version=version)
    functions = {name: value for name, value in vars(cuda.module()).items() if inspect.ismethod(value)}
    assert len(functions) > 40
    for name, function in functions.items():
        wanted = [parameter.partition("=")[0] for parameter in facts["functions"][name]]
        assert list(inspect.signature(function).parameters) == wanted, name


@pytest.mark.parametrize("version", CUDA)
def test_enums_and_constants_are_the_real_ones(version: str) -> None:
    """All of them are there, with their values."""
    facts, module = cuda_facts(version), FakeCuda(version=version).module()
    for name, members in facts["enums"].items():
        assert {key: int(one) for key, one in getattr(module, name).__members__.items()} == members
    for name, value in facts["constants"].items():
        assert getattr(module, name) == value


def test_installed_binding_agrees() -> None:
    """The binding that is installed here, of whatever version, has what the fake has."""
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    real = importlib.import_module("cuda.bindings.driver")
    fake = FakeCuda().module()
    for name, value in vars(fake).items():
        if inspect.ismethod(value):
            assert callable(getattr(real, name)), name
    for enum in ("CUresult", "CUstreamCaptureMode", "CUgraphNodeType", "CUstream_flags", "CUevent_flags"):
        for key, member in getattr(fake, enum).__members__.items():
            assert int(getattr(getattr(real, enum), key, member)) == int(member), (enum, key)


def test_handles_are_no_numbers(rig: Rig) -> None:
    """As in the real binding: int() of a handle works, comparing it with an int does not."""
    stream = rig.stream()
    assert stream == rig.driver.CUstream(int(stream))
    assert stream != int(stream)


# ---- before anything works -----------------------------------------------------------------------------------------


def test_without_a_driver_every_call_raises() -> None:
    """The real binding raises RuntimeError when it cannot load libcuda."""
    driver: Any = FakeCuda(driver_missing=True).module()
    with pytest.raises(RuntimeError, match="NVIDIA driver library"):
        driver.cuInit(0)


def test_without_a_gpu() -> None:
    """Initialisation says that there is none, and nothing works without it."""
    driver: Any = FakeCuda(devices=0).module()
    assert driver.cuInit(0)[0].name == "CUDA_ERROR_NO_DEVICE"
    assert driver.cuDeviceGetCount() == (driver.CUresult.CUDA_ERROR_NOT_INITIALIZED, None)


def test_a_context_is_needed() -> None:
    """A thread has none until it sets one; another thread's does not count."""
    rig = Rig()
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(rig.status("cuMemAlloc", SIZE)))
    thread.start()
    thread.join()
    assert found == ["CUDA_ERROR_INVALID_CONTEXT"]
    assert rig.cuda.faults == ["cuMemAlloc: no context is current on this thread"]


def test_a_foreign_context_does_not_take_our_streams(rig: Rig) -> None:
    """Work on a stream of a context that is not current is refused."""
    stream, host, device = rig.stream(), rig.pinned(), rig.device()
    rig.cuda.make_context()
    assert rig.status("cuMemcpyAsync", device, host, SIZE, stream) == "CUDA_ERROR_INVALID_HANDLE"
    assert "not current" in rig.cuda.faults[0]


# ---- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misuse", "status", "fault"),
    [
        (lambda rig: rig.status("cuMemFree", 4096), "CUDA_ERROR_INVALID_VALUE", "not the start of a live block"),
        (lambda rig: rig.status("cuMemFree", rig.pinned()), "CUDA_ERROR_INVALID_VALUE", "block of device memory"),
        (lambda rig: rig.status("cuMemFreeHost", rig.pinned() + 8), "CUDA_ERROR_INVALID_VALUE", "not the start"),
        (lambda rig: rig.status("cuMemAlloc", 0), "CUDA_ERROR_INVALID_VALUE", "0 bytes"),
        (
            lambda rig: rig.status("cuMemcpyAsync", rig.device(), rig.pinned(), SIZE + 1, rig.stream()),
            "CUDA_ERROR_INVALID_VALUE", "beyond the end",
        ),
        (
            lambda rig: rig.status("cuMemcpyHtoDAsync", rig.pinned(), rig.device(), SIZE, rig.stream()),
            "CUDA_ERROR_INVALID_VALUE", "was called HtoD",
        ),
        (
            lambda rig: rig.status("cuMemHostUnregister", rig.pinned()),
            "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "CUDA's own",
        ),
        (lambda rig: rig.status("cuMemFreeHost", rig.registered()), "CUDA_ERROR_INVALID_VALUE", "to be unregistered"),
        (
            lambda rig: rig.status("cuMemHostRegister", rig.registered() + SIZE - 1, 8, 1),
            "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "page-locked already",
        ),
        (
            lambda rig: rig.status("cuMemcpyAsync", rig.device(), rig.pinned(), SIZE, 12345),
            "CUDA_ERROR_INVALID_HANDLE", "is no stream",
        ),
    ],
)  # fmt: skip
def test_misuse_of_memory(rig: Rig, misuse: Callable[[Rig], str], status: str, fault: str) -> None:
    """What CUDA refuses is refused with its status, and noted."""
    assert misuse(rig) == status
    assert fault in rig.cuda.faults[0]


def test_freed_memory_is_not_used_again(rig: Rig) -> None:
    """A second free, and a copy from what was freed, are both noticed; a view that outlived it reads rubbish."""
    device, host = rig.device(), rig.pinned()
    view = bytes_at(host)
    view[:] = 7
    rig.do("cuMemFreeHost", host)
    assert set(view) == {0xDD}
    assert rig.status("cuMemFreeHost", host) == "CUDA_ERROR_INVALID_VALUE"
    assert rig.status("cuMemcpyAsync", device, host, SIZE, rig.stream()) == "CUDA_ERROR_INVALID_VALUE"
    assert len(rig.cuda.faults) == 2


def test_memory_runs_out(rig: Rig) -> None:
    """A limit can be set, and a single call made to fail."""
    rig.cuda.out_of_memory_after = SIZE
    kept = rig.device()
    assert rig.status("cuMemAlloc", 1) == "CUDA_ERROR_OUT_OF_MEMORY"
    rig.do("cuMemFree", kept)
    rig.cuda.fail_next("cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY")
    assert rig.status("cuMemAlloc", 1) == "CUDA_ERROR_OUT_OF_MEMORY"
    assert rig.status("cuMemAlloc", 1) == "CUDA_SUCCESS"
    assert not rig.cuda.faults


def test_leaks_are_seen(rig: Rig) -> None:
    """Whatever was not freed is counted."""
    stream, event, device, host = rig.stream(), rig.do("cuEventCreate", 0), rig.device(), rig.pinned()
    rig.begin(stream)
    rig.do("cuMemcpyAsync", device, host, SIZE, stream)
    graph = rig.do("cuStreamEndCapture", stream)
    run = rig.do("cuGraphInstantiate", graph, 0)
    assert set(rig.cuda.live.values()) == {1}
    for name, handle in (
        ("cuGraphExecDestroy", run), ("cuGraphDestroy", graph), ("cuEventDestroy", event), ("cuStreamDestroy", stream),
        ("cuMemFree", device), ("cuMemFreeHost", host),
    ):  # fmt: skip
        rig.do(name, handle)
    assert not any(rig.cuda.live.values())


# ---- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lazy", [True, False])
def test_lazy_streams_hide_results_until_they_are_waited_for(lazy: bool) -> None:
    """Nothing is there before the wait, unless work is done at once; fresh memory holds rubbish, not zeros."""
    rig = Rig(lazy=lazy)
    stream, source, device, target = rig.stream(), rig.pinned(), rig.device(), rig.pinned()
    bytes_at(source)[:] = 7
    rig.do("cuMemcpyAsync", device, source, SIZE, stream)
    rig.do("cuMemcpyAsync", target, device, SIZE, stream)
    assert set(bytes_at(target)) == ({0xCD} if lazy else {7})
    rig.do("cuStreamSynchronize", stream)
    assert set(bytes_at(target)) == {7}


def test_events_order_streams(rig: Rig) -> None:
    """A stream that waits for an event does the other one's work first."""
    first, second = rig.stream(), rig.stream()
    source, device, target = rig.pinned(), rig.device(), rig.pinned()
    bytes_at(source)[:] = 7
    rig.do("cuMemcpyAsync", device, source, SIZE, first)
    event = rig.do("cuEventCreate", 0)
    rig.do("cuEventRecord", event, first)
    rig.do("cuStreamWaitEvent", second, event, 0)
    rig.do("cuMemcpyAsync", target, device, SIZE, second)
    rig.do("cuStreamSynchronize", second)
    assert set(bytes_at(target)) == {7}
    assert not rig.cuda.faults


def test_a_race_is_noticed(rig: Rig) -> None:
    """Without the event, two streams on the same memory are a race, whichever is waited for first."""
    first, second = rig.stream(), rig.stream()
    source, device, target = rig.pinned(), rig.device(), rig.pinned()
    rig.do("cuMemcpyAsync", device, source, SIZE, first)
    rig.do("cuMemcpyAsync", target, device, SIZE, second)
    rig.do("cuStreamSynchronize", second)
    assert "neither waits for the other" in rig.cuda.faults[0]


def test_memory_that_queued_work_needs_is_not_freed(rig: Rig) -> None:
    """Freeing it before the wait is noted."""
    stream, source, device = rig.stream(), rig.pinned(), rig.device()
    rig.do("cuMemcpyAsync", device, source, SIZE, stream)
    rig.do("cuMemFree", device)
    assert "was freed while queued work used it" in rig.cuda.faults[0]


def test_polling_ends(rig: Rig) -> None:
    """A query says that work is not done, and lets time go by."""
    stream, source, device = rig.stream(), rig.pinned(), rig.device()
    for _ in range(3):
        rig.do("cuMemcpyAsync", device, source, SIZE, stream)
    states = [rig.status("cuStreamQuery", stream) for _ in range(3)]
    assert states == ["CUDA_ERROR_NOT_READY", "CUDA_ERROR_NOT_READY", "CUDA_SUCCESS"]


def test_events_keep_the_time(rig: Rig) -> None:
    """Between two marks that were reached some time has passed; before that there is no answer."""
    stream = rig.stream()
    first, last = rig.do("cuEventCreate", 0), rig.do("cuEventCreate", 0)
    rig.do("cuEventRecord", first, stream)
    rig.do("cuEventRecord", last, stream)
    assert rig.status("cuEventElapsedTime", first, last) == "CUDA_ERROR_NOT_READY"
    rig.do("cuStreamSynchronize", stream)
    assert rig.do("cuEventElapsedTime", first, last) >= 0


# ---- graphs --------------------------------------------------------------------------------------------------------


def test_a_graph_computes_with_what_is_there_when_it_is_launched(rig: Rig) -> None:
    """Capturing does nothing; each launch copies anew, and the launch has to be waited for."""
    stream, source, device, target = rig.stream(), rig.pinned(), rig.device(), rig.pinned()
    rig.begin(stream)
    rig.do("cuMemcpyAsync", device, source, SIZE, stream)
    rig.do("cuMemcpyAsync", target, device, SIZE, stream)
    graph = rig.do("cuStreamEndCapture", stream)
    nodes, count = rig.do("cuGraphGetNodes", graph, 2)
    kinds = [rig.do("cuGraphNodeGetType", node).name for node in nodes]
    assert (count, kinds) == (2, ["CU_GRAPH_NODE_TYPE_MEMCPY"] * 2)
    run = rig.do("cuGraphInstantiate", graph, 0)
    rig.do("cuGraphDestroy", graph)
    assert set(bytes_at(target)) == {0xCD}
    for value in (7, 8):
        bytes_at(source)[:] = value
        rig.do("cuGraphLaunch", run, stream)
        assert set(bytes_at(target)) != {value}
        rig.do("cuStreamSynchronize", stream)
        assert set(bytes_at(target)) == {value}


def _captured_copy(rig: Rig) -> tuple[Any, Any, Any, Any]:
    """Return a graph of one copy from the GPU, ready to launch: stream, graph, what is launched, its node."""
    stream, device, target = rig.stream(), rig.device(), rig.pinned()
    rig.do("cuMemsetD8Async", device, 5, SIZE, stream)
    rig.begin(stream)
    rig.do("cuMemcpyAsync", target, device, SIZE, stream)
    graph = rig.do("cuStreamEndCapture", stream)
    (node,), _ = rig.do("cuGraphGetNodes", graph, 1)
    return stream, graph, rig.do("cuGraphInstantiate", graph, 0), node


@pytest.mark.parametrize("field", ["dstDevice", "dstHost"])
def test_a_copy_in_a_graph_may_go_elsewhere(rig: Rig, field: str) -> None:
    """From the next launch on, whatever the driver calls the host's memory; earlier launches stay as they were."""
    rig.cuda.unified_nodes = field == "dstDevice"
    stream, _, run, node = _captured_copy(rig)
    params = rig.do("cuGraphMemcpyNodeGetParams", node)
    first, second = getattr(params, field), rig.pinned()
    rig.do("cuGraphLaunch", run, stream)
    setattr(params, field, second)
    rig.do("cuGraphExecMemcpyNodeSetParams", run, node, params, rig.cuda.current.handle)  # type: ignore[union-attr]
    rig.do("cuStreamSynchronize", stream)
    assert set(bytes_at(first)) == {5}
    assert set(bytes_at(second)) == {0xCD}
    bytes_at(first)[:] = 1
    rig.do("cuGraphLaunch", run, stream)
    rig.do("cuStreamSynchronize", stream)
    assert (set(bytes_at(first)), set(bytes_at(second))) == ({1}, {5})


def test_a_copy_in_a_graph_keeps_its_kind(rig: Rig) -> None:
    """A copy to the host cannot become another, nor be changed by a node of another graph, or of one that is gone."""
    _, graph, run, node = _captured_copy(rig)
    _, _, _, foreign = _captured_copy(rig)
    params = rig.do("cuGraphMemcpyNodeGetParams", node)
    good, ordinary = params.dstDevice, np.zeros(SIZE, np.uint8)
    for which, target, status in (
        (node, ordinary.ctypes.data, "CUDA_ERROR_INVALID_VALUE"),
        (node, good + 1, "CUDA_ERROR_INVALID_VALUE"),
        (foreign, good, "CUDA_ERROR_INVALID_VALUE"),
    ):
        params.dstDevice = target
        assert rig.status("cuGraphExecMemcpyNodeSetParams", run, which, params, None) == status
    rig.do("cuGraphDestroy", graph)
    assert rig.status("cuGraphExecMemcpyNodeSetParams", run, node, params, None) == "CUDA_ERROR_INVALID_HANDLE"
    assert len(rig.cuda.faults) == 4


def test_a_launch_after_its_memory_was_freed_is_an_illegal_access(rig: Rig) -> None:
    """As on a GPU, the error comes at the wait, and stays."""
    stream, source, device = rig.stream(), rig.pinned(), rig.device()
    rig.begin(stream)
    rig.do("cuMemcpyAsync", device, source, SIZE, stream)
    run = rig.do("cuGraphInstantiate", rig.do("cuStreamEndCapture", stream), 0)
    rig.do("cuMemFree", device)
    rig.do("cuGraphLaunch", run, stream)
    assert rig.status("cuStreamSynchronize", stream) == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert rig.status("cuMemAlloc", SIZE) == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert "was freed" in rig.cuda.faults[0]


@pytest.mark.parametrize(
    "breach",
    [
        lambda rig, stream: rig.status("cuStreamSynchronize", stream),
        lambda rig, stream: rig.status("cuStreamQuery", stream),
        lambda rig, stream: rig.status("cuStreamSynchronize", rig.stream()),
        lambda rig, stream: rig.status("cuMemAlloc", SIZE),
        lambda rig, stream: rig.status("cuMemHostAlloc", SIZE, 0),
        lambda rig, stream: rig.status("cuCtxSynchronize"),
        lambda rig, stream: rig.status("cuMemcpyAsync", rig.spare, np.zeros(SIZE, np.uint8), SIZE, stream),
    ],
    ids=["wait", "query", "wait for another", "allocate", "allocate on the host", "wait for all", "pageable copy"],
)
def test_what_breaks_a_capture(rig: Rig, breach: Callable[[Any, Any], str]) -> None:
    """The call is refused, and the capture is lost."""
    rig.__dict__["spare"] = rig.device()
    stream = rig.stream()
    rig.begin(stream)
    assert breach(rig, stream) == "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
    assert rig.status("cuStreamEndCapture", stream) == "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
    assert rig.cuda.faults
    assert rig.status("cuMemAlloc", SIZE) == "CUDA_SUCCESS"


@pytest.mark.parametrize(("mode", "good"), [("GLOBAL", False), ("THREAD_LOCAL", True), ("RELAXED", True)])
def test_what_other_threads_may_do_meanwhile(mode: str, good: bool) -> None:
    """They may allocate, unless the capture is global."""
    rig, found = Rig(), []
    stream, context = rig.stream(), rig.do("cuCtxGetCurrent")
    rig.begin(stream, mode)

    def work() -> None:
        rig.do("cuCtxSetCurrent", context)
        found.append(rig.status("cuMemAlloc", SIZE))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["CUDA_SUCCESS" if good else "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"]
    assert (rig.status("cuStreamEndCapture", stream) == "CUDA_SUCCESS") is good


@pytest.mark.parametrize("joined", [True, False])
def test_a_capture_may_fork_if_it_joins_again(rig: Rig, joined: bool) -> None:
    """Work of a second stream, drawn in by an event, is part of the graph; without the way back it is an error."""
    first, second, source, device = rig.stream(), rig.stream(), rig.pinned(), rig.device()
    out, back = rig.do("cuEventCreate", 0), rig.do("cuEventCreate", 0)
    rig.begin(first)
    rig.do("cuEventRecord", out, first)
    rig.do("cuStreamWaitEvent", second, out, 0)
    rig.do("cuMemcpyAsync", device, source, SIZE, second)
    rig.do("cuEventRecord", back, second)
    if joined:
        rig.do("cuStreamWaitEvent", first, back, 0)
    wanted = "CUDA_SUCCESS" if joined else "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"
    assert rig.status("cuStreamEndCapture", first) == wanted
    assert rig.status("cuEventQuery", back) == "CUDA_ERROR_CAPTURED_EVENT"


def test_a_capture_cannot_wait_for_work_outside(rig: Rig) -> None:
    """An event recorded before is no part of the graph."""
    stream, other, event = rig.stream(), rig.stream(), rig.do("cuEventCreate", 0)
    rig.do("cuEventRecord", event, other)
    rig.begin(stream)
    assert rig.status("cuStreamWaitEvent", stream, event, 0) == "CUDA_ERROR_STREAM_CAPTURE_ISOLATION"


# ---- installing ----------------------------------------------------------------------------------------------------


def test_installed_goes_away_again() -> None:
    """Within the block the import gives the fake, after it what was there before; other flavours cannot be imported."""
    before = sys.modules.get("cuda.bindings.driver")
    cuda = FakeCuda()
    with installed(cuda=cuda):
        found: Any = importlib.import_module("cuda.bindings.driver")
        assert found.cuInit(0) == (found.CUresult.CUDA_SUCCESS,)
        with pytest.raises(ImportError):
            importlib.import_module("tensorrt")
    assert cuda.calls == {"cuInit": 1}
    assert sys.modules.get("cuda.bindings.driver") is before
