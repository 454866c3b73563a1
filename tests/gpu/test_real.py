"""Real TensorRT on a real GPU: what the stand-ins promise is kept by the thing itself."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import (
    EngineMismatchError,
    EngineVersionError,
    InputError,
    ModelFormatError,
    OnnxGraph,
    Plan,
    SessionClosedError,
    UnsupportedModelError,
)
from onepass.engine import BuildOptions, plan_from_graph, sidecar_path
from onepass.runtime._cuda import Device
from onepass.runtime._device_arrays import DeviceArray
from tests.checker import assert_same, check
from tests.runtime.gpu import options_for
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, Arrays, model

pytestmark = pytest.mark.gpu

# For machines whose TensorRT lacks a library that kernels may come from (cuDNN, say): the sources that are there.
_TACTICS = os.environ.get("TACTIC_SOURCES", "").split()
_SAMPLE = Path(os.environ.get("SAMPLE_ENGINES", "../shared/gpu/sample"))


def _options(options: BuildOptions) -> BuildOptions:
    return replace(options, tactic_sources=_TACTICS) if _TACTICS else options


def _plan(graph: OnnxGraph, **options: Any) -> Plan:
    return plan_from_graph(graph, _options(BuildOptions(**options)))


@pytest.fixture(scope="module")
def three() -> Plan:
    """An engine with three heads, for batches from 1 to 64."""
    return _plan(THREE.graph, batch=(1, 4, 64))


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on every model of the zoo that this TensorRT can build; the others say why it cannot."""
    try:
        plan = plan_from_graph(animal.graph, _options(options_for(animal)))
    except (UnsupportedModelError, InputError) as error:
        pytest.skip(f"not for this TensorRT: {error}")
    check(lambda _: onepass.load(plan), animal)


def test_a_thousand_calls(three: Plan) -> None:
    """Results that are kept over a thousand calls stay as they were."""
    with onepass.load(three) as session:
        kept = {}
        for seed in range(1000):
            outputs = session(x=x_of(1 + seed // 200, seed))
            if seed % 10 == 0:
                kept[seed] = outputs
        assert any(each["recorded"] for each in session.report()["passes"])
    for seed, outputs in kept.items():
        assert_same(outputs, THREE.reference({"x": x_of(1 + seed // 200, seed)}))


def test_sixteen_threads(three: Plan) -> None:
    """Sixteen threads on one session each get what they asked for."""
    with onepass.load(three) as session:

        def work(number: int) -> None:
            for turn in range(50):
                rows, seed = 1 + (number + turn) % 4, number * 1000 + turn
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))

        in_threads(16, work)


def test_shapes_back_and_forth(three: Plan) -> None:
    """Shapes that alternate, and come back after a pause, give what they should, recorded or not."""
    with onepass.load(three) as session:
        for seed, rows in enumerate(np.random.default_rng(0).integers(1, 20, 300)):
            for _ in range(1 + seed % 3):
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))


def test_several_profiles() -> None:
    """Of several profiles the nearest runs a shape; each has a context of its own."""
    plan = _plan(THREE.graph, shapes=[{"x": (1, 1, 8)}, {"x": (1, 32, 64)}])
    with onepass.load(plan) as session:
        for turn in range(6):
            for rows in (1, 40):
                assert_same(session(x=x_of(rows, turn)), THREE.reference({"x": x_of(rows, turn)}))
        assert sorted(each["profile"] for each in session.report()["passes"]) == [0, 1]


def test_data_dependent_outputs() -> None:
    """Outputs whose size the data decide come with their true shapes, call after call."""
    animal = BY_NAME["data-dependent shape"]
    with onepass.load(plan_from_graph(animal.graph, _options(options_for(animal)))) as session:
        for seed in range(50):
            case = {"x": np.random.default_rng(seed).standard_normal((1 + seed % 4, 3)).astype(np.float32)}
            assert_same(session(case), animal.reference(case))


class _OnGpu:
    """An array in the GPU's memory, by the CUDA array interface."""

    def __init__(self, device: Device, array: np.ndarray[Any, Any]) -> None:
        self._block = device.device_block(array.nbytes)
        stream = device.stream()
        with device.current():
            stream.copy(self._block.address, array.ctypes.data, array.nbytes)
            stream.synchronize()
        self.__cuda_array_interface__ = {
            "shape": array.shape, "typestr": array.dtype.str, "data": (self._block.address, False), "version": 3,
        }  # fmt: skip


def _address(array: Any) -> int:
    assert isinstance(array, DeviceArray)
    return array.address


def _host(array: Any) -> np.ndarray[Any, Any]:
    assert isinstance(array, DeviceArray)
    device = Device(array.device)
    copy = np.empty(array.shape, array.dtype)
    stream = device.stream()
    with device.current():
        stream.copy(copy.ctypes.data, array.address, array.nbytes)
        stream.synchronize()
    return copy


def test_arrays_on_the_gpu(three: Plan) -> None:
    """Inputs on the GPU give outputs on the GPU, which stay as results do."""
    device = Device(0)
    with onepass.load(three) as session:
        kept = [session(x=_OnGpu(device, x_of(3, seed))) for seed in range(20)]
        for seed, outputs in enumerate(kept):
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                np.testing.assert_allclose(_host(outputs[name]), expected, rtol=1e-5, atol=1e-6)


def test_cupy(three: Plan) -> None:
    """CuPy's arrays go in and come out without a copy over the host, ordered with CuPy's own stream."""
    cupy = pytest.importorskip("cupy")
    with onepass.load(three) as session, cupy.cuda.Stream(non_blocking=True):
        for seed in range(20):
            given = cupy.asarray(x_of(3, seed))
            outputs = session(x=given)
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                taken = cupy.from_dlpack(outputs[name])
                assert taken.data.ptr == _address(outputs[name])
                np.testing.assert_allclose(cupy.asnumpy(taken), expected, rtol=1e-5, atol=1e-6)


def test_empty_inputs(three: Plan) -> None:
    """Page-locked arrays that are filled in place give the same results, again and again."""
    with onepass.load(three) as session:
        inputs = session.empty_inputs(x=(3, 4))
        for seed in range(20):
            inputs["x"][...] = x_of(3, seed)
            assert_same(session(inputs), THREE.reference({"x": x_of(3, seed)}))


def test_memory_is_flat(three: Plan) -> None:
    """Twenty thousand calls take no more memory, on the GPU or on the host, than a hundred."""
    device = Device(0)
    with onepass.load(three) as session:
        for seed in range(100):
            session(x=x_of(1 + seed % 3, seed))
        free, _ = device.memory_bytes()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        x = [x_of(rows) for rows in (1, 2, 3)]
        for turn in range(20_000):
            session(x=x[turn % 3])
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if os.environ.get("GPU_IS_SHARED") != "1":
        assert free - device.memory_bytes()[0] < 1 << 20
    assert grown_kb < 4096


def test_results_outlive_the_session(three: Plan) -> None:
    """What a closed session gave is still there."""
    session = onepass.load(three)
    outputs = session(x=x_of(3))
    session.close()
    assert_same(outputs, THREE.reference({"x": x_of(3)}))


def test_parts_of_a_pass(three: Plan) -> None:
    """The GPU's own clock says how long copies and computation took."""
    with onepass.load(three) as session:
        for _ in range(3):
            times = session.profile(x=x_of(3))
        assert times is not None
        assert all(0 <= each < 1000 for each in times.values())


def test_branches_are_taken_by_the_data_of_the_call() -> None:
    """A branch goes with this call's data, not with that of the call before or of a recording."""
    animal = BY_NAME["a branch that reads the outer graph"]
    with onepass.load(plan_from_graph(animal.graph, _options(options_for(animal)))) as session:
        for turn in range(20):
            case = animal.cases[(turn // 3) % 2]
            assert_same(session(case), animal.reference(case))
        assert session.report()["passes"][0]["eager_because"]


def test_files_that_do_not_load(three: Plan, tmp_path: Path) -> None:
    """A truncated engine, rubbish behind the right mark, another version, another sidecar: each its own error."""
    path = tmp_path / "three.engine"
    data = three.save(path).engine_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
        onepass.load(path)
    sidecar_path(path).unlink()
    with pytest.raises(ModelFormatError, match=r"(?s)damaged, truncated.*TensorRT says"):
        onepass.load(path)
    path.write_bytes(data[:4] + bytes(2000))
    with pytest.raises((ModelFormatError, EngineVersionError), match="TensorRT says"):
        onepass.load(path)
    with pytest.raises(EngineVersionError, match="was built by"):
        onepass.load(replace(three, version="9.9.9"))
    path.write_bytes(data)
    with onepass.load(path) as session:
        assert session.signature.inputs[0].shape == (None, 4)


def test_a_shape_outside_the_profile(three: Plan) -> None:
    """What the engine was not built for is refused before TensorRT sees it."""
    with onepass.load(three) as session, pytest.raises(InputError, match=r"x \[1…64, 4\]"):
        session(x=x_of(65))


def test_half_precision_happens() -> None:
    """Asked for, half precision is used, outputs stay float32, and they are near those of float32."""
    rng = np.random.default_rng(0)
    weights = ", ".join(f"{value:.6f}" for value in rng.standard_normal(8 * 3 * 9) * 0.2)
    graph = model(
        f"(float[N, 3, 16, 16] x) => (float[N, 8, 16, 16] y, float[N, 8] m) <float[8, 3, 3, 3] w = {{{weights}}}> {{"
        " c = Conv <pads = [1, 1, 1, 1]> (x, w) \n y = Relu (c)"
        " \n m = ReduceMean <axes = [2, 3], keepdims = 0> (y) }"
    )
    x = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    plan = _plan(graph, batch=(1, 2, 4), precision="fp16")
    with onepass.load(plan) as session, onepass.load(graph) as reference:
        outputs, expected = session(x=x), reference(x=x)
    for name in expected:
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], expected[name], atol=2e-2)


# ---- calls that overlap ------------------------------------------------------------------------------------------


def _alone(session: onepass.Session, cases: Sequence[Arrays]) -> list[Arrays]:
    return [dict(session(case, copy=True)) for case in cases]


def _same_bits(outputs: Any, expected: Arrays) -> bool:
    return all(np.array_equal(outputs[name], array, equal_nan=True) for name, array in expected.items())


def test_overlapping_calls_are_equal_to_the_bit(three: Plan) -> None:
    """Two callers that are always at it get, to the bit, what each call gives alone, with one execution context."""
    with onepass.load(three, contexts=1) as session:
        cases = [{"x": x_of(rows, seed)} for seed, rows in enumerate((1, 2, 16, 64, 64, 3))]
        expected = _alone(session, cases)

        def work(number: int) -> None:
            for turn in range(300):
                which = (turn // 3 + number * 2) % len(cases)
                assert _same_bits(session(cases[which]), expected[which]), (number, turn)

        in_threads(2, work)


@pytest.mark.parametrize("keep_bytes", [None, 1 << 14, 0])
def test_results_kept_by_threads(three: Plan, keep_bytes: int | None) -> None:
    """Results that several threads keep stay, in page-locked memory and beyond it."""
    with onepass.load(three, contexts=1, keep_bytes=keep_bytes) as session:
        cases = [{"x": x_of(64, seed)} for seed in range(5)]
        expected = _alone(session, cases)
        kept: list[list[Any]] = [[] for _ in range(4)]

        def work(number: int) -> None:
            for turn in range(60):
                kept[number].append(((turn + number) % 5, session(cases[(turn + number) % 5])))

        in_threads(4, work)
        for which, outputs in (pair for each in kept for pair in each):
            assert _same_bits(outputs, expected[which])
        if keep_bytes is not None:
            assert session.report()["keep_bytes"]["used"] <= keep_bytes


def test_everything_at_once(three: Plan) -> None:
    """Subsets, arrays to fill, inputs that are lent, arrays on the GPU and wrong shapes, side by side."""
    device = Device(0)
    with onepass.load(three, contexts=1) as session:
        cases = [{"x": x_of(rows, rows)} for rows in (2, 3, 16, 64)]
        expected = _alone(session, cases)

        def work(number: int) -> None:
            lent = session.empty_inputs(x=(2, 4))
            target = np.empty((16, 4), np.float32)
            on_gpu = _OnGpu(device, cases[1]["x"])
            for turn in range(60):
                what = (turn + number) % 5
                if what == 0:
                    outputs = session(cases[0], outputs=["ant", "zebra"])
                    assert all(np.array_equal(outputs[name], expected[0][name]) for name in ("ant", "zebra"))
                elif what == 1:
                    outputs = session(cases[2], out={"zebra": target})
                    assert outputs["zebra"] is target
                    assert _same_bits(outputs, expected[2])
                elif what == 2:
                    lent["x"][...] = cases[0]["x"]
                    assert _same_bits(session(lent), expected[0])
                elif what == 3:
                    outputs = session(x=on_gpu)
                    assert all(np.array_equal(_host(outputs[name]), array) for name, array in expected[1].items())
                else:
                    with pytest.raises(InputError, match=r"x \[1…64, 4\]"):
                        session(x=x_of(65))
                    assert _same_bits(session(cases[3]), expected[3])

        in_threads(4, work)


def test_submitted_calls(three: Plan) -> None:
    """Submitted calls overlap and give what calls give; closing waits for those under way."""
    session = onepass.load(three, contexts=1)
    cases = [{"x": x_of(rows, rows)} for rows in (1, 16, 64)]
    expected = _alone(session, cases)
    futures = [(turn % 3, session.submit(cases[turn % 3])) for turn in range(90)]
    session.close()
    for which, future in futures:
        assert _same_bits(future.result(60), expected[which])


def test_closing_beside_callers(three: Plan) -> None:
    """Threads that call while the session is closed get their results, or are told that it is closed."""
    session = onepass.load(three)
    expected = THREE.reference({"x": x_of(16)})
    begun = threading.Barrier(5)

    def work(number: int) -> None:
        begun.wait()
        if number == 4:
            time.sleep(0.02)
            session.close()
            return
        with suppress(SessionClosedError):
            while True:
                assert_same(session(x=x_of(16)), expected)
        assert session.closed

    in_threads(5, work)


def test_large_inputs_travel_piece_by_piece() -> None:
    """Inputs of several megabytes arrive whole, from one caller and from two."""
    plan = _plan(THREE.graph, shapes=[{"x": ((1, 4), (1000, 4), (300_000, 4))}])
    with onepass.load(plan) as session:
        cases = [{"x": x_of(rows, seed)} for seed, rows in enumerate((299_999, 150_001, 70_000))]
        for case in cases * 3:
            assert_same(session(case), THREE.reference(case))
        expected = _alone(session, cases)

        def work(number: int) -> None:
            for turn in range(20):
                assert _same_bits(session(cases[(turn + number) % 3]), expected[(turn + number) % 3])

        in_threads(2, work)


def test_kept_memory_is_given_back(three: Plan) -> None:
    """Page-locked memory of results that are gone goes back in later calls."""
    with onepass.load(three) as session, pytest.MonkeyPatch.context() as patch:
        kept = [session(x=x_of(64)) for _ in range(4_000)]
        most = session.report()["keep_bytes"]["used"]
        del kept
        patch.setattr("onepass.runtime._slots._IDLE_SECONDS", 0.0)
        for _ in range(8_000):
            session(x=x_of(64))
        assert session.report()["keep_bytes"]["used"] < most / 4


@pytest.mark.skipif(not _SAMPLE.is_dir(), reason="no sample engines at SAMPLE_ENGINES or ../shared/gpu/sample")
@pytest.mark.parametrize("rows", [1, 2, 16, 64, 256])
def test_overlapping_calls_of_a_real_network(rows: int) -> None:
    """A network of many layers computes the same, to the bit, alone and beside another call."""
    (engine,) = _SAMPLE.glob("elg_random*.engine")
    rng = np.random.default_rng(rows)
    cases = [{"eye": rng.uniform(-1, 1, (rows, 1, 36, 60)).astype(np.float32)} for _ in range(4)]
    with onepass.load(engine) as session:
        expected = _alone(session, cases)

        def work(number: int) -> None:
            for turn in range(50):
                which = (turn + number) % len(cases)
                assert _same_bits(session(cases[which]), expected[which]), (number, turn)

        in_threads(2, work)


@pytest.mark.skipif(not _SAMPLE.is_dir(), reason="no sample engines at SAMPLE_ENGINES or ../shared/gpu/sample")
def test_an_engine_of_another_tool() -> None:
    """An engine that another tool built, without a sidecar, runs by the engine's own names, near its ONNX model."""
    (engine,) = _SAMPLE.glob("elg_random*.engine")
    x = np.random.default_rng(0).uniform(-1, 1, (16, 1, 36, 60)).astype(np.float32)
    with onepass.load(engine) as session, onepass.load(_SAMPLE / "elg_random.onnx") as reference:
        for rows in (1, 2, 16, 2):
            outputs, expected = session(eye=x[:rows]), reference(eye=x[:rows])
            assert sorted(outputs) == sorted(expected)
            for name in expected:
                assert outputs[name].shape == expected[name].shape
                np.testing.assert_allclose(
                    outputs[name], expected[name], atol=0.1 * max(1.0, float(np.abs(expected[name]).max()))
                )
