"""Real TensorRT on a real GPU: what the stand-ins promise is kept by the thing itself."""

from __future__ import annotations

import os
import resource
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
    UnsupportedModelError,
)
from onepass.engine import BuildOptions, plan_from_graph, sidecar_path
from onepass.runtime._cuda import Device
from onepass.runtime._device_arrays import DeviceArray
from tests.checker import assert_same, check
from tests.runtime.gpu import options_for
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, model

pytestmark = pytest.mark.gpu

THREE = BY_NAME["three heads"]
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


def _x(rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32)


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
            outputs = session(x=_x(1 + seed // 200, seed))
            if seed % 10 == 0:
                kept[seed] = outputs
        assert any(each["recorded"] for each in session.report()["passes"])
    for seed, outputs in kept.items():
        assert_same(outputs, THREE.reference({"x": _x(1 + seed // 200, seed)}))


def test_sixteen_threads(three: Plan) -> None:
    """Sixteen threads on one session each get what they asked for."""
    with onepass.load(three) as session:

        def work(number: int) -> None:
            for turn in range(50):
                rows, seed = 1 + (number + turn) % 4, number * 1000 + turn
                assert_same(session(x=_x(rows, seed)), THREE.reference({"x": _x(rows, seed)}))

        in_threads(16, work)


def test_shapes_back_and_forth(three: Plan) -> None:
    """Shapes that alternate, and come back after a pause, give what they should, recorded or not."""
    with onepass.load(three) as session:
        for seed, rows in enumerate(np.random.default_rng(0).integers(1, 20, 300)):
            for _ in range(1 + seed % 3):
                assert_same(session(x=_x(rows, seed)), THREE.reference({"x": _x(rows, seed)}))


def test_several_profiles() -> None:
    """Of several profiles the nearest runs a shape; each has a context of its own."""
    plan = _plan(THREE.graph, shapes=[{"x": (1, 1, 8)}, {"x": (1, 32, 64)}])
    with onepass.load(plan) as session:
        for turn in range(6):
            for rows in (1, 40):
                assert_same(session(x=_x(rows, turn)), THREE.reference({"x": _x(rows, turn)}))
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
        kept = [session(x=_OnGpu(device, _x(3, seed))) for seed in range(20)]
        for seed, outputs in enumerate(kept):
            for name, expected in THREE.reference({"x": _x(3, seed)}).items():
                np.testing.assert_allclose(_host(outputs[name]), expected, rtol=1e-5, atol=1e-6)


def test_cupy(three: Plan) -> None:
    """CuPy's arrays go in and come out without a copy over the host, ordered with CuPy's own stream."""
    cupy = pytest.importorskip("cupy")
    with onepass.load(three) as session, cupy.cuda.Stream(non_blocking=True):
        for seed in range(20):
            given = cupy.asarray(_x(3, seed))
            outputs = session(x=given)
            for name, expected in THREE.reference({"x": _x(3, seed)}).items():
                taken = cupy.from_dlpack(outputs[name])
                assert taken.data.ptr == _address(outputs[name])
                np.testing.assert_allclose(cupy.asnumpy(taken), expected, rtol=1e-5, atol=1e-6)


def test_empty_inputs(three: Plan) -> None:
    """Page-locked arrays that are filled in place give the same results, again and again."""
    with onepass.load(three) as session:
        inputs = session.empty_inputs(x=(3, 4))
        for seed in range(20):
            inputs["x"][...] = _x(3, seed)
            assert_same(session(inputs), THREE.reference({"x": _x(3, seed)}))


def test_memory_is_flat(three: Plan) -> None:
    """Twenty thousand calls take no more memory, on the GPU or on the host, than a hundred."""
    device = Device(0)
    with onepass.load(three) as session:
        for seed in range(100):
            session(x=_x(1 + seed % 3, seed))
        free, _ = device.memory_bytes()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        x = [_x(rows) for rows in (1, 2, 3)]
        for turn in range(20_000):
            session(x=x[turn % 3])
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if os.environ.get("GPU_IS_SHARED") != "1":
        assert free - device.memory_bytes()[0] < 1 << 20
    assert grown_kb < 4096


def test_results_outlive_the_session(three: Plan) -> None:
    """What a closed session gave is still there."""
    session = onepass.load(three)
    outputs = session(x=_x(3))
    session.close()
    assert_same(outputs, THREE.reference({"x": _x(3)}))


def test_parts_of_a_pass(three: Plan) -> None:
    """The GPU's own clock says how long copies and computation took."""
    with onepass.load(three) as session:
        for _ in range(3):
            times = session.profile(x=_x(3))
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
        session(x=_x(65))


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
