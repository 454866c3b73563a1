"""ONNX Runtime's CUDA provider on a stand-in: frozen passes, as engines have them, and what cannot be frozen."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

import onepass
from onepass import BackendError, DeviceError, InputError, RunTimeoutError, _cuda_libraries
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.onnxruntime import cuda_backend
from tests.checker import assert_same, check
from tests.endless import endless
from tests.fakes._queue import Op
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed
from tests.fakes.onnxruntime_cuda import cuda_provider
from tests.runtime.gpu import Foreign, busy, calls_of, fake_cuda_provider, on_gpu, on_host
from tests.runtime.three import THREE, expected_of, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, model

GPU = ["cuda"]
MANY = [f"a{i}" for i in range(40)]
NEGATED = " ".join(f"{name} = Neg (x)" for name in MANY)


def _load(source: Any = THREE.graph, **options: Any) -> onepass.Session:
    return onepass.load(source, providers=GPU, **options)


def _because(session: onepass.Session) -> str | None:
    (one,) = session.report()["passes"]
    assert one["recorded"] == (one["eager_because"] is None)
    because: str | None = one["eager_because"]
    return because


# ---- the same promises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on every model of the zoo, whether its passes can be frozen or not."""
    with fake_cuda_provider(results_gone=True):
        check(_load, animal)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_shapes_in_any_order(rows: list[int]) -> None:
    """Calls of any shapes in any order, more of them than are kept ready, have each its own results."""
    with fake_cuda_provider(), _load() as session:
        kept = [(count, seed, session(x=x_of(count, seed))) for seed, count in enumerate(rows)]
        for count, seed, outputs in kept:
            assert_same(outputs, expected_of(count, seed))


# ---- what a call costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 32])
def test_a_frozen_pass_is_a_launch_and_a_wait(outputs: int) -> None:
    """Whatever the number of outputs, a call asks CUDA for two things and ONNX Runtime for none."""
    edges = ", ".join(f"float[N] y{i}" for i in range(outputs))
    nodes = "\n".join(f"y{i} = Neg (x)" for i in range(outputs))
    graph = model(f"(float[N] x) => ({edges}) {{ {nodes} }}")
    with fake_cuda_provider() as (cuda, provider), _load(graph) as session:
        x = np.arange(3, dtype=np.float32)
        for _ in range(4):
            result = session(x=x)
        before = Counter(provider.calls)
        assert calls_of(cuda, lambda: session(x=x)) == {"cuGraphLaunch": 1, "cuStreamSynchronize": 1}
        assert provider.calls == before
        np.testing.assert_array_equal(result["y0"], -x)


def test_nothing_grows_once_it_runs() -> None:
    """A thousand calls more ask for no memory, no event, no recording."""
    with fake_cuda_provider(lazy=False) as (cuda, _), _load() as session:
        for _ in range(4):
            session(x=x_of(2))

        def many() -> None:
            for _ in range(1000):
                session(x=x_of(2))

        counted = calls_of(cuda, many)
        assert set(counted) == {"cuGraphLaunch", "cuStreamSynchronize"}


def test_memory_is_bound_and_the_stream_is_ours() -> None:
    """A session computes in a stream of ours, in float32 unless told, on the GPU asked for, with one's own options."""
    with fake_cuda_provider(devices=2) as (_, provider):
        with _load(device=1) as session:
            session(x=x_of(2))
            assert session.report()["device_index"] == 1
        with _load(tf32=True) as session:
            assert session.report()["tf32"] is True
        with onepass.load(THREE.graph, providers=[("cuda", {"device_id": 1, "gpu_mem_limit": 1 << 30})]) as session:
            assert session.report()["device_index"] == 1
        streams = [int(options.pop("user_compute_stream")) for options in provider.opened]
        assert all(streams)
        assert provider.opened == [
            {"use_tf32": "0", "device_id": "1"},
            {"use_tf32": "1", "device_id": "0"},
            {"use_tf32": "0", "device_id": "1", "gpu_mem_limit": str(1 << 30)},
        ]


def test_a_shape_is_tried_out_once() -> None:
    """The second lane takes over what the first found out about a shape."""
    with fake_cuda_provider() as (_, provider), _load() as session:
        session(x=x_of(3))
        before = provider.calls["run_with_iobinding"]
        with busy(lambda: session(x=x_of(3))):
            session(x=x_of(3))
        assert provider.calls["run_with_iobinding"] - before <= 3  # queued once, recorded alone and with its copies
        assert session.report()["contexts"] == {"now": 1, "at_most": 1}


def test_contexts_are_sessions() -> None:
    """More contexts compute side by side, each with a session of its own; there is one unless more are asked for."""
    with fake_cuda_provider() as (_, provider), _load(contexts=2) as session:
        assert provider.live == 1
        with busy(lambda: session(x=x_of(3, 1))) as results:
            assert_same(session(x=x_of(3, 2)), expected_of(3, 2))
        assert_same(results.pop(), expected_of(3, 1))
        assert provider.live == 2
        assert session.report()["contexts"] == {"now": 2, "at_most": 2}
        for seed in range(6):
            with busy(partial(session, x=x_of(3, seed))) as results:
                assert_same(session(x=x_of(3, 9 + seed)), expected_of(3, 9 + seed))
            assert_same(results.pop(), expected_of(3, seed))
        first, second = session.report()["passes"]
        assert first["recorded"]
        assert second["recorded"], "the memory of a second session is warmed by itself"


def test_several_gpus() -> None:
    """The model is opened on each GPU, and calls of several threads find one that is free."""
    with fake_cuda_provider(devices=2) as (_, provider), _load(device="all") as session:
        assert [options["device_id"] for options in provider.opened] == ["0", "1"]

        def work(number: int) -> None:
            for turn in range(5):
                assert_same(session(x=x_of(3, 9 * number + turn)), expected_of(3, 9 * number + turn))

        in_threads(6, work)
        assert [one["state"] for one in session.report()["devices"]] == ["open", "open"]


# ---- what cannot be frozen ---------------------------------------------------------------------------------------

_LOOSE: dict[str, Any] = {
    "it has branches or loops, which are decided on the host (If)": BY_NAME["a branch that reads the outer graph"],
    "it has results whose size depends on the data (NonZero)": BY_NAME["data-dependent shape"],
    "'label' holds strings, which stay on the host": BY_NAME["class labels beside numbers"],
    "takes s on the host": (
        "(float[N, K] x, int64[2] s) => (float[A, B] y) { y = Reshape (x, s) }",
        {"x": x_of(3), "s": np.array([4, 3])},
    ),
    "ONNX Runtime failed: CUDA Concat supports at most 32 inputs": (
        f"(float[N] x) => (float[M] y) {{ {NEGATED} y = Concat <axis = 0> ({', '.join(MANY)}) }}",
        {"x": np.arange(3, dtype=np.float32)},
    ),
    "it copies from or to the host while it computes": (
        """(float[N, 4] x) => (float[N, 4] y) {
            t = Transpose (x)
            m = MatMul (x, t)
            u = Det (m)
            y = Add (x, u)
        }""",
        {"x": x_of(3)},
    ),
    "it draws random numbers, which a recording would repeat (Dropout)": (
        "(float[N, 4] x) => (float[N, 4] y) <bool t = {0}> { y = Dropout (x, , t) }",
        {"x": x_of(3)},
    ),
}


@pytest.mark.parametrize("because", _LOOSE)
def test_what_cannot_be_frozen_runs_as_it_is(because: str) -> None:
    """A model that cannot be recorded gives the right numbers on the GPU too, and the report says why it is not."""
    source = _LOOSE[because]
    if isinstance(source, Animal):
        graph, case = source.graph, dict(source.cases[0])
    else:
        graph, case = model(source[0]), source[1]
    with fake_cuda_provider() as (_, provider), onepass.load(graph) as cpu, _load(graph) as session:
        for _ in range(3):
            assert_same(session(case), cpu(case))
        found = _because(session)
        assert found is not None
        assert because in found
        assert provider.calls["run"] + provider.calls["run_with_ort_values"] == 3
        assert session.profile(case) is None
        # The next model is not blamed for a recording that failed.
        with _load() as other:
            for _ in range(3):
                assert_same(other(x=x_of(2)), expected_of(2))
            assert _because(other) is None


def test_models_in_the_runtimes_own_format(tmp_path: Path) -> None:
    """An ``.ort`` file does not tell its operators, so it is not frozen, and says so."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "three.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(THREE.graph.to_bytes(), options, providers=["CPUExecutionProvider"])
    with fake_cuda_provider(), _load(tmp_path / "three.ort") as session:
        assert_same(session(x=x_of(2)), expected_of(2))
        assert "own format" in str(_because(session))


def test_memory_that_libraries_take_in_the_stream_is_recorded() -> None:
    """CuBLAS and cuDNN allocate in the stream's own course, which a recording repeats."""
    graph = model("(float[N, 4] x) => (float[N, N] y) { t = Transpose (x) \n y = MatMul (x, t) }")
    with fake_cuda_provider(), _load(graph) as session:
        for seed in range(4):
            x = x_of(3, seed)
            np.testing.assert_allclose(session(x=x)["y"], x @ x.T, rtol=1e-5)
        assert _because(session) is None


def test_recorded_work_that_calls_back() -> None:
    """Work that would call a function of the host at every launch is never launched."""
    cuda = FakeCuda(lazy=True)
    with installed(cuda=cuda):
        device = Device(0)
        with device.current():
            stream = Stream(device)
            inner = cuda.stream(stream.number)
            calls_back = stream.record(lambda: cuda.enqueue(inner, Op("CU_GRAPH_NODE_TYPE_HOST", lambda: None)))
            with pytest.raises(BackendError, match="calls back to the host"):
                calls_back.check_stays_on_gpu()
            nothing = stream.record(lambda: None)
            nothing.check_stays_on_gpu()
            for graph in (calls_back, nothing):
                graph.close()
            stream.close()
    assert not any(cuda.live.values())


def test_a_run_that_is_not_frozen_is_ended() -> None:
    """A loop without end is ended after some seconds, and by `stop`; of a frozen pass it is told if that was late."""
    one = np.ones(1, np.float32)
    with fake_cuda_provider(), _load(onepass.OnnxGraph(endless())) as session:
        with pytest.raises(RunTimeoutError, match=r"timeout of 0\.2 s"):
            session(x=one, timeout=0.2)
        timer = threading.Timer(0.2, session.stop, ["enough"])
        timer.start()
        with pytest.raises(BackendError, match="the run was stopped: enough"):
            session(x=one)
        timer.join()
    with fake_cuda_provider() as (cuda, _), _load() as session:
        assert_same(session(x=x_of(2), timeout=20), expected_of(2))
        waits, over = cuda.hold_next("cuStreamSynchronize")
        threading.Timer(0.5, over.set).start()
        with pytest.raises(RunTimeoutError, match=r"timeout of 0\.1 s"):
            session(x=x_of(2), timeout=0.1)
        assert waits.is_set()
        assert_same(session(x=x_of(2)), expected_of(2))


# ---- arrays on the GPU -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["three heads", "two inputs, one batch", "data-dependent shape", "outputs that are inputs"]
)
def test_arrays_on_the_gpu(name: str) -> None:
    """Inputs on the GPU give outputs on the GPU, frozen or not; they stay when others come, and go straight on."""
    animal = BY_NAME[name]
    case = dict(animal.cases[0])
    first = next(iter(case))
    with fake_cuda_provider() as (cuda, _), _load(animal.graph) as session:
        kept = []
        for _ in range(4):
            with on_gpu(cuda, case[first], 0) as given:
                kept.append(session({**case, first: given}))
        session({name: np.zeros_like(array) for name, array in case.items()})
        for outputs in kept:
            for output, expected in animal.reference(case).items():
                assert isinstance(outputs[output], DeviceArray)
                np.testing.assert_allclose(on_host(outputs[output]), expected, rtol=1e-5)


def test_strings_do_not_stay_on_the_gpu() -> None:
    """An output of strings has no place on the GPU; the others do."""
    animal = BY_NAME["class labels beside numbers"]
    case = dict(animal.cases[0])
    with fake_cuda_provider() as (cuda, _), _load(animal.graph) as session:
        (name,) = case
        with on_gpu(cuda, case[name], 0) as given:
            with pytest.raises(InputError, match="output 'label' holds strings"):
                session({name: given})
            others = [each for each in animal.reference(case) if each != "label"]
            outputs = session({name: given}, outputs=others)
        for each in others:
            np.testing.assert_allclose(on_host(outputs[each]), animal.reference(case)[each], rtol=1e-5)


def test_arrays_that_are_not_complete_are_waited_for() -> None:
    """What another library still writes is waited for before a new shape is tried out, and in every call."""
    with fake_cuda_provider() as (cuda, _), _load() as session:
        x = x_of(3)
        with on_gpu(cuda, np.zeros_like(x), 0) as given:
            address = given.__cuda_array_interface__["data"][0]
            for seed in range(3):
                x = x_of(3, seed)
                pinned = int(cuda.cuMemHostAlloc(x.nbytes, 0)[1])
                np.ctypeslib.as_array((ctypes.c_float * x.size).from_address(pinned))[:] = x.reshape(-1)
                _, stream = cuda.cuStreamCreate(1)
                cuda.cuMemcpyAsync(address, pinned, x.nbytes, stream)
                busy_one = Foreign(address, x)
                busy_one.__cuda_array_interface__["stream"] = int(stream)
                outputs = session(x=busy_one)
                np.testing.assert_allclose(on_host(outputs["monkey"]), expected_of(3, seed)["monkey"], rtol=1e-5)
                cuda.cuStreamDestroy(stream)
                cuda.cuMemFreeHost(pinned)


def test_a_provider_that_is_no_gpu_of_ours_is_called_what_it_is() -> None:
    """A model on another provider says where it runs when it is given an array on a GPU."""
    array = DeviceArray(0, shape=(3, 4), dtype=np.dtype("f4"), device=0, owner=None)
    with fake_cuda_provider(), onepass.load(THREE.graph, providers=[("cuda", {"enable_cuda_graph": "0"})]) as session:
        assert session.report()["device"] == "cuda"
        with pytest.raises(InputError, match=r"on a GPU, but this model runs on ONNX Runtime's provider 'cuda'"):
            session(x=array)


# ---- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_run_that_fails_leaves_the_session_usable() -> None:
    """Whatever ONNX Runtime raises, when a shape is tried out or recorded, the next call is right."""
    with fake_cuda_provider() as (_, provider), _load() as session:
        provider.fail_next = Fail("no kernel")
        with pytest.raises(BackendError, match=r"failed on x float32\[2, 4\]: no kernel"):
            session(x=x_of(2))
        for seed in range(4):
            assert_same(session(x=x_of(2, seed)), expected_of(2, seed))
        assert _because(session) is None


def test_an_error_that_is_kept_keeps_no_stream_from_its_session() -> None:
    """A traceback may hold a session longer than `close`; its stream is there as long as it is."""
    graph = model("(float[N, K] x) => (float[2, M] y) { s = Constant <value_ints = [2, -1]> () \n y = Reshape (x, s) }")
    with fake_cuda_provider() as (_, provider):
        session = _load(graph)
        provider.fail_next = Fail("kept")
        with pytest.raises(BackendError) as caught:
            session(x=np.zeros((3, 2), np.float32))
        session.close()
        del session
        assert provider.live == 1  # the traceback has it
        del caught
        gc.collect()
        assert provider.live == 0


def test_a_stream_that_goes_before_its_session_is_noticed() -> None:
    """The stand-in sees what would crash ONNX Runtime."""
    cuda = FakeCuda(lazy=True)
    with cuda_provider(cuda) as provider, _load():
        cuda.cuStreamDestroy(int(provider.opened[0]["user_compute_stream"]))
    assert any("before the session that works with it" in fault for fault in cuda.faults)


def test_no_driver_no_gpu() -> None:
    """A machine without a driver or a GPU is told so, before ONNX Runtime tries."""
    for options, message in (({"driver_missing": True}, "no NVIDIA driver"), ({"devices": 0}, "finds no GPU")):
        with fake_cuda_provider(**options) as (_, provider):
            with pytest.raises(DeviceError, match=message):
                _load()
            assert not provider.opened


@pytest.mark.parametrize("library", ["libcudnn.so.9", None])
def test_a_provider_that_does_not_start(library: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a library of CUDA is missing it is named, with the command that brings it; nothing falls back silently."""
    monkeypatch.setattr("onepass.runtime.onnxruntime.sessions.missing_library", lambda: library)
    with fake_cuda_provider() as (_, provider):
        provider.missing = True
        with pytest.raises(
            DeviceError,
            match=r"not start CUDAExecutionProvider \((libcudnn\S+ is missing; install it with|a driver)",
        ):
            _load()


def test_the_library_that_is_missing_is_read_from_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's own library is opened to see what the system's loader says of it."""
    (tmp_path / "capi").mkdir()
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    assert _cuda_libraries.missing_library() is None
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").touch()
    words = "libcudnn.so.9: cannot open shared object file: No such file or directory"

    def refuse(name: str) -> None:
        raise OSError(words if "cuda" in name else "")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert _cuda_libraries.missing_library() == "libcudnn.so.9"
    words = "undefined symbol: Provider_GetHost"
    assert _cuda_libraries.missing_library() is None


def test_libraries_are_loaded_in_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """NVIDIA's packages are loaded once, before a session opens; what ONNX Runtime prints of it is not shown."""
    loaded = []

    def preload() -> None:
        loaded.append(1)
        sys.stdout.write("Failed to load it")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload)
    severities: list[int] = []
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", severities.append)
    _cuda_libraries.load_cuda_libraries.cache_clear()
    try:
        with fake_cuda_provider(), _load(), _load():
            pass
    finally:
        _cuda_libraries.load_cuda_libraries.cache_clear()
    assert loaded == [1]
    assert severities == [4]  # nothing below what ends the process
    assert capsys.readouterr().out == ""


def test_without_what_freezing_needs_the_provider_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the binding of CUDA, or with options of one's own, sessions run by themselves, which the report says."""
    cases: tuple[tuple[Any, Any, str], ...] = (
        ([("cuda", {"user_compute_stream": "0"})], {}, "the provider option user_compute_stream is set"),
        (GPU, {"device": 1}, "pip install '.[cuda]'"),
    )
    with fake_cuda_provider(devices=2) as (_, provider):

        def no_driver() -> Any:
            raise onepass.MissingExtraError("it needs more: pip install '.[cuda]'")

        monkeypatch.setattr(cuda_backend, "load_driver", no_driver)
        for providers, options, because in cases:
            with onepass.load(THREE.graph, providers=providers, **options) as session:
                assert_same(session(x=x_of(2)), expected_of(2))
                assert because in session.report()["eager_because"]
        assert provider.opened[-1]["device_id"] == "1"
        with pytest.raises(InputError, match=r"device= with several GPUs.*pip install"):
            _load(device=[0, 1])


def test_an_onnx_runtime_that_does_not_tell_where_inputs_go() -> None:
    """Before 1.23 ONNX Runtime does not say which inputs it wants on the host, so nothing is frozen."""
    with fake_cuda_provider():
        delattr(onnxruntime.InferenceSession, "get_input_memory_infos")
        with _load() as session:
            assert_same(session(x=x_of(2)), expected_of(2))
            assert "1.23 and later do" in session.report()["eager_because"]


def test_options_that_do_not_fit() -> None:
    """What is for GPUs is refused elsewhere, and nothing is given twice."""
    with pytest.raises(InputError, match=r"tf32= requires the CUDA provider, but the providers are cpu"):
        onepass.load(THREE.graph, tf32=True)
    with pytest.raises(
        InputError, match=r"contexts= is not supported for an ONNX model without providers=\[\"cuda\"\]"
    ):
        onepass.load(THREE.graph, contexts=2)
    with fake_cuda_provider(), pytest.raises(InputError, match="device_id cannot be combined"):
        onepass.load(THREE.graph, providers=[("cuda", {"device_id": 0})], device=0)
    with fake_cuda_provider(), pytest.raises(InputError, match="device_id must be the number of a GPU"):
        onepass.load(THREE.graph, providers=[("cuda", {"device_id": "first"})])


def test_a_gpu_that_breaks_down() -> None:
    """After a fault of the GPU a call says so; with another GPU there, the next calls go on."""
    with fake_cuda_provider(devices=2) as (cuda, _):
        session = _load(device="all")
        for seed in range(3):
            assert_same(session(x=x_of(2, seed)), expected_of(2, seed))
        cuda.break_gpu(0)
        with pytest.raises(BackendError, match="GPU 0"):
            session(x=x_of(2))
        for seed in range(3):
            assert_same(session(x=x_of(2, seed)), expected_of(2, seed))
        assert [one["state"] for one in session.report()["devices"]] == ["broken", "open"]
        cuda._sticky.clear()
        session.close()
