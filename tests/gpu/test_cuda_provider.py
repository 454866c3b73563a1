"""ONNX Runtime's CUDA provider on a real GPU: the whole zoo, what cannot be frozen, exact numbers, memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onepass
from onepass import BackendError
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import device_count
from tests.checker import assert_same, check
from tests.gpu.tools import OnGpu, alone, check_large_inputs, on_host, same_bits
from tests.runtime.three import THREE, expected_of, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
        reason="this onnxruntime has no CUDA provider: pip install onnxruntime-gpu",
    ),
]
_DATA = Path(onepass.__file__).parent / "gaze" / "data"
_NETWORKS = {"elg_60x36": (36, 60), "elg_120x72": (72, 120)}


def _load(source: Any, **options: Any) -> onepass.Session:
    return onepass.load(source, providers=["cuda"], **options)


def _because(session: onepass.Session) -> list[str]:
    return [each["eager_because"] for each in session.report()["passes"] if each["eager_because"]]


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on every model of the zoo, frozen or not."""
    check(_load, animal)


def test_what_is_frozen() -> None:
    """Models whose tensors and operators are all on the GPU are recorded; the others say what keeps them from it."""
    loose = {}
    for animal in ZOO:
        with _load(animal.graph) as session:
            for _ in range(3):
                session(animal.cases[0])
            (one,) = session.report()["passes"]
            assert one["recorded"] == (one["eager_because"] is None)
            if one["eager_because"]:
                loose[animal.name] = one["eager_because"]
    assert set(loose) <= {
        "outputs that are inputs", "an output that is a weight", "data-dependent shape", "strings", "strings [M]",
        "strings [A, B]", "a branch that reads the outer graph", "a loop that shadows an output",
        "class labels beside numbers", "no input at all", "inputs of size zero", "unknown sizes of one false name",
    }, loose  # fmt: skip


@pytest.mark.parametrize("network", _NETWORKS)
def test_numbers_are_exact(network: str) -> None:
    """The bundled networks compute on the GPU what they compute on the CPU, and with TF32, on request, nearly that."""
    x = np.random.default_rng(0).uniform(-1, 1, (16, 1, *_NETWORKS[network])).astype(np.float32)
    path = _DATA / f"{network}.onnx"
    with onepass.load(path) as cpu, _load(path) as exact, _load(path, tf32=True) as rounded:
        expected = cpu(eye=x)
        for _ in range(3):
            outputs = exact(eye=x)
        assert not _because(exact)
        off = {name: float(np.abs(outputs[name] - expected[name]).max()) for name in expected}
        assert all(each < 5e-3 for each in off.values()), off
        rough = rounded(eye=x)
        assert np.abs(rough["landmarks"] - expected["landmarks"]).max() < 2
        assert rounded.report()["tf32"] is True


@pytest.mark.parametrize("network", _NETWORKS)
@pytest.mark.parametrize("rows", [1, 2, 64, 256])
def test_overlapping_calls_of_a_real_network(network: str, rows: int) -> None:
    """A network of many layers computes the same, to the bit, alone and beside other calls."""
    rng = np.random.default_rng(rows)
    cases = [{"eye": rng.uniform(-1, 1, (rows, 1, *_NETWORKS[network])).astype(np.float32)} for _ in range(4)]
    with _load(_DATA / f"{network}.onnx") as session:
        for _ in range(3):
            expected = alone(session, cases)

        def work(number: int) -> None:
            for turn in range(40):
                which = (turn + number) % len(cases)
                assert same_bits(session(cases[which]), expected[which]), (number, turn)

        in_threads(3, work)


def test_shapes_of_a_real_network() -> None:
    """Recordings of many shapes share the memory of one session, and none spoils another's."""
    path = _DATA / "elg_60x36.onnx"
    rng = np.random.default_rng(0)
    with onepass.load(path) as cpu, _load(path) as session:
        for rows in (1, 2, 64, 7, 2, 130, 1, 3, 64, 5, 6, 8, 9, 10, 2, 11):
            for _ in range(3):
                x = rng.uniform(-1, 1, (rows, 1, 36, 60)).astype(np.float32)
                outputs, expected = session(eye=x), cpu(eye=x)
                for name in expected:
                    np.testing.assert_allclose(outputs[name], expected[name], atol=5e-3)


def test_data_dependent_outputs() -> None:
    """Outputs whose size the data decide come with their true shapes, call after call, on the GPU too."""
    animal, device = BY_NAME["data-dependent shape"], Device(0)
    with _load(animal.graph) as session:
        for seed in range(30):
            case = {"x": np.random.default_rng(seed).standard_normal((1 + seed % 4, 3)).astype(np.float32)}
            expected = animal.reference(case)
            assert_same(session(case), expected)
            outputs = session(x=OnGpu(device, case["x"]))
            for name, array in expected.items():
                np.testing.assert_array_equal(on_host(outputs[name]), array)
        assert "depends on the data" in _because(session)[0]


def test_random_numbers_differ() -> None:
    """A model that draws random numbers draws new ones in every call."""
    graph = model("(float[N, 64] x) => (float[N, 64] y) { r = RandomNormalLike (x) \n y = Add (x, r) }")
    with _load(graph) as session:
        x = np.zeros((4, 64), np.float32)
        drawn = [session(x=x)["y"].copy() for _ in range(5)]
        assert all(not np.array_equal(one, drawn[0]) for one in drawn[1:])


def test_a_recording_that_fails_hurts_nobody() -> None:
    """After a model that turns out not to be recordable, it and others compute without an error."""
    many = [f"a{i}" for i in range(40)]
    joined = model(
        f"(float[N] x) => (float[M] y) {{ {' '.join(f'{name} = Neg (x)' for name in many)} "
        f"y = Concat <axis = 0> ({', '.join(many)}) }}"
    )
    weight = BY_NAME["an output that is a weight"]
    for _ in range(3):
        with _load(joined) as session, _load(weight.graph) as other, _load(THREE.graph) as third:
            for seed in range(4):
                x = x_of(1, seed)[0]
                np.testing.assert_array_equal(session(x=x)["y"], np.tile(-x, 40))
                assert_same(other(weight.cases[0]), weight.reference(weight.cases[0]))
                assert_same(third(x=x_of(3, seed)), expected_of(3, seed))
            assert not _because(third)


def test_an_error_that_is_kept() -> None:
    """An exception may outlive the session that raised it."""
    graph = model("(float[N, K] x) => (float[2, M] y) { s = Constant <value_ints = [2, -1]> () \n y = Reshape (x, s) }")
    kept = []
    for _ in range(20):
        session = _load(graph)
        with pytest.raises(BackendError) as caught:
            session(x=np.zeros((3, 1), np.float32))
        kept.append(caught)
        session.close()
        if len(kept) > 3:
            del kept[0]


def test_new_threads_take_no_memory_for_good() -> None:
    """Threads that come and go, each with a shape of its own, leave nothing behind on the GPU."""
    device = Device(0)
    with _load(THREE.graph) as session:

        def one(rows: int) -> None:
            for _ in range(3):
                assert_same(session(x=x_of(rows)), expected_of(rows))

        def many(count: int) -> None:
            for turn in range(count):
                thread = threading.Thread(target=one, args=(1 + turn % 20,))
                thread.start()
                thread.join()

        many(40)
        free, _ = device.memory_bytes()
        many(200)
        if os.environ.get("GPU_IS_SHARED") != "1":
            assert free - device.memory_bytes()[0] < 16 << 20


def test_sessions_that_come_and_go() -> None:
    """Opening and closing gives all memory back."""
    device = Device(0)
    path = _DATA / "elg_60x36.onnx"
    x = np.zeros((2, 1, 36, 60), np.float32)
    free = []
    for _ in range(6):
        with _load(path) as session:
            for _ in range(3):
                session(eye=x)
        free.append(device.memory_bytes()[0])
    if os.environ.get("GPU_IS_SHARED") != "1":
        assert free[1] - free[-1] < 32 << 20, free


def test_contexts() -> None:
    """Two contexts are two sessions that compute side by side, with the same results."""
    with _load(_DATA / "elg_60x36.onnx", contexts=2) as session:
        rng = np.random.default_rng(0)
        cases = [{"eye": rng.uniform(-1, 1, (8, 1, 36, 60)).astype(np.float32)} for _ in range(4)]
        expected = alone(session, cases)

        def work(number: int) -> None:
            for turn in range(40):
                which = (turn + number) % 4
                outputs = session(cases[which])
                for name, array in expected[which].items():
                    np.testing.assert_allclose(outputs[name], array, atol=5e-3)

        in_threads(4, work)
        assert session.report()["contexts"] == {"now": 2, "at_most": 2}


@pytest.mark.parametrize("network", ["", "elg_60x36"])
def test_two_gpus(network: str) -> None:
    """Of two GPUs each has the model; calls go to whichever is free, and arrays stay where they are."""
    if device_count() < 2:
        pytest.skip("one GPU only")
    name, shape = ("eye", (3, 1, 36, 60)) if network else ("x", (3, 4))
    source = _DATA / f"{network}.onnx" if network else THREE.graph
    with onepass.load(source) as cpu, _load(source, device=[0, 1]) as session:
        cases = [{name: np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)} for seed in range(6)]
        expected = alone(cpu, cases)

        def work(number: int) -> None:
            for turn in range(20):
                which = (turn + number) % len(cases)
                got = session(cases[which])
                for output, array in expected[which].items():
                    np.testing.assert_allclose(got[output], array, atol=5e-3)

        in_threads(6, work)
        for number in (0, 1, 1, 0):
            outputs: Any = session({name: OnGpu(Device(number), cases[number][name])})
            for output, array in expected[number].items():
                assert outputs[output].device == number
                np.testing.assert_allclose(on_host(outputs[output]), array, atol=5e-3)
        devices = session.report()["devices"]
        assert [each["device_index"] for each in devices] == [0, 1]
        assert not any(one["eager_because"] for each in devices for one in each["passes"])


def test_large_inputs() -> None:
    """Inputs of several megabytes arrive whole, from one caller and from two."""
    with _load(THREE.graph) as session:
        check_large_inputs(session)
