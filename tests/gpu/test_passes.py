"""Frozen passes on a real GPU, whoever computes them: what the stand-ins promise is kept by the things themselves."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import pytest

import onepass
from onepass import InputError, MissingExtraError, Session, SessionClosedError
from onepass.engine import find_flavor
from onepass.runtime.cuda.device import Device
from onepass.runtime.gpu.budget import _SLAB_BYTES
from tests.checker import assert_same
from tests.gpu.tools import OnGpu, alone, on_host, plan_of, same_bits
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads

pytestmark = pytest.mark.gpu

Opened: TypeAlias = Callable[..., Session]


@pytest.fixture(scope="module", params=["engine", "cuda"])
def three(request: pytest.FixtureRequest) -> Opened:
    """The model with three heads, opened in many ways: as an engine, and on ONNX Runtime's CUDA provider."""
    if request.param == "engine":
        try:
            find_flavor(None)
        except MissingExtraError as error:
            pytest.skip(str(error))
        plan = plan_of(THREE.graph, batch=(1, 4, 64))
        return lambda **options: onepass.load(plan, **options)
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA provider: pip install onnxruntime-gpu")
    return lambda **options: onepass.load(THREE.graph, providers=["cuda"], **options)


def test_a_thousand_calls(three: Opened) -> None:
    """Results that are kept over a thousand calls stay as they were."""
    with three() as session:
        kept = {}
        for seed in range(1000):
            outputs = session(x=x_of(1 + seed // 200, seed))
            if seed % 10 == 0:
                kept[seed] = outputs
        assert any(each["recorded"] for each in session.report()["passes"])
    for seed, outputs in kept.items():
        assert_same(outputs, THREE.reference({"x": x_of(1 + seed // 200, seed)}))


def test_sixteen_threads(three: Opened) -> None:
    """Sixteen threads on one session each get what they asked for."""
    with three() as session:

        def work(number: int) -> None:
            for turn in range(50):
                rows, seed = 1 + (number + turn) % 4, number * 1000 + turn
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))

        in_threads(16, work)


def test_shapes_back_and_forth(three: Opened) -> None:
    """Shapes that alternate, and come back after a pause, give what they should, recorded or not."""
    with three() as session:
        for seed, rows in enumerate(np.random.default_rng(0).integers(1, 20, 300)):
            for _ in range(1 + seed % 3):
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))


def test_arrays_on_the_gpu(three: Opened) -> None:
    """Inputs on the GPU give outputs on the GPU, which stay as results do."""
    device = Device(0)
    with three() as session:
        kept = [session(x=OnGpu(device, x_of(3, seed))) for seed in range(20)]
        for seed, outputs in enumerate(kept):
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                np.testing.assert_allclose(on_host(outputs[name]), expected, rtol=1e-5, atol=1e-6)


def test_cupy(three: Opened) -> None:
    """CuPy's arrays go in and come out without a copy over the host, ordered with CuPy's own stream."""
    cupy = pytest.importorskip("cupy")
    with three() as session, cupy.cuda.Stream(non_blocking=True):
        for seed in range(20):
            given = cupy.asarray(x_of(3, seed))
            outputs: Any = session(x=given)
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                taken = cupy.from_dlpack(outputs[name])
                assert taken.data.ptr == outputs[name].address
                np.testing.assert_allclose(cupy.asnumpy(taken), expected, rtol=1e-5, atol=1e-6)


def test_pytorch(three: Opened) -> None:
    """PyTorch's tensors go in and come out without a copy over the host, ordered with PyTorch's current stream."""
    torch = pytest.importorskip("torch")
    with three() as session, torch.cuda.stream(torch.cuda.Stream()):
        for seed in range(20):
            given = torch.from_numpy(x_of(3, seed)).cuda(non_blocking=True) * 1
            outputs: Any = session(x=given)
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                taken = torch.from_dlpack(outputs[name])
                assert taken.data_ptr() == outputs[name].address
                np.testing.assert_allclose(taken.cpu().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_jax(three: Opened) -> None:
    """JAX's arrays go in and come out without a copy over the host."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it takes most of the GPU's memory
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("JAX has no GPU here")
    with three() as session:
        for seed in range(5):
            outputs: Any = session(x=jax.numpy.asarray(x_of(3, seed)) * 1)
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                taken = jax.dlpack.from_dlpack(outputs[name])
                assert taken.unsafe_buffer_pointer() == outputs[name].address
                np.testing.assert_allclose(np.asarray(taken), expected, rtol=1e-5, atol=1e-6)


def test_empty_inputs(three: Opened) -> None:
    """Page-locked arrays that are filled in place give the same results, again and again."""
    with three() as session:
        inputs = session.empty_inputs(x=(3, 4))
        for seed in range(20):
            inputs["x"][...] = x_of(3, seed)
            assert_same(session(inputs), THREE.reference({"x": x_of(3, seed)}))


def test_memory_is_flat(three: Opened) -> None:
    """Twenty thousand calls take no more memory, on the GPU or on the host, than a hundred."""
    device = Device(0)
    with three() as session:
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


def test_results_outlive_the_session(three: Opened) -> None:
    """What a closed session gave is still there."""
    session = three()
    outputs = session(x=x_of(3))
    session.close()
    assert_same(outputs, THREE.reference({"x": x_of(3)}))


def test_parts_of_a_pass(three: Opened) -> None:
    """The GPU's own clock says how long copies and computation took."""
    with three() as session:
        for _ in range(3):
            times = session.profile(x=x_of(3))
        assert times is not None
        assert all(0 <= each < 1000 for each in times.values())


def test_overlapping_calls_are_equal_to_the_bit(three: Opened) -> None:
    """Two callers that are always at it get, to the bit, what each call gives alone, with one execution context."""
    with three(contexts=1) as session:
        cases = [{"x": x_of(rows, seed)} for seed, rows in enumerate((1, 2, 16, 64, 64, 3))]
        expected = alone(session, cases)

        def work(number: int) -> None:
            for turn in range(300):
                which = (turn // 3 + number * 2) % len(cases)
                assert same_bits(session(cases[which]), expected[which]), (number, turn)

        in_threads(2, work)


@pytest.mark.parametrize("keep_bytes", [None, 1 << 14, 0])
def test_results_kept_by_threads(three: Opened, keep_bytes: int | None) -> None:
    """Results that several threads keep stay, in page-locked memory and beyond it."""
    with three(contexts=1, keep_bytes=keep_bytes) as session:
        cases = [{"x": x_of(64, seed)} for seed in range(5)]
        expected = alone(session, cases)
        kept: list[list[Any]] = [[] for _ in range(4)]

        def work(number: int) -> None:
            for turn in range(60):
                kept[number].append(((turn + number) % 5, session(cases[(turn + number) % 5])))

        in_threads(4, work)
        for which, outputs in (pair for each in kept for pair in each):
            assert same_bits(outputs, expected[which])
        if keep_bytes is not None:
            assert session.report()["keep_bytes"]["used"] <= keep_bytes


def test_everything_at_once(three: Opened) -> None:
    """Subsets, arrays to fill, inputs that are lent, arrays on the GPU and wrong shapes, side by side."""
    device = Device(0)
    with three(contexts=1) as session:
        cases = [{"x": x_of(rows, rows)} for rows in (2, 3, 16, 64)]
        expected = alone(session, cases)

        def work(number: int) -> None:
            lent = session.empty_inputs(x=(2, 4))
            target = np.empty((16, 4), np.float32)
            on_gpu = OnGpu(device, cases[1]["x"])
            for turn in range(60):
                what = (turn + number) % 5
                if what == 0:
                    outputs = session(cases[0], outputs=["ant", "zebra"])
                    assert all(np.array_equal(outputs[name], expected[0][name]) for name in ("ant", "zebra"))
                elif what == 1:
                    outputs = session(cases[2], out={"zebra": target})
                    assert outputs["zebra"] is target
                    assert same_bits(outputs, expected[2])
                elif what == 2:
                    lent["x"][...] = cases[0]["x"]
                    assert same_bits(session(lent), expected[0])
                elif what == 3:
                    outputs = session(x=on_gpu)
                    assert all(np.array_equal(on_host(outputs[name]), array) for name, array in expected[1].items())
                else:
                    with pytest.raises(InputError, match=r"expected float32 .* got float32 \[2, 5\]"):
                        session(x=np.zeros((2, 5), np.float32))
                    assert same_bits(session(cases[3]), expected[3])

        in_threads(4, work)


def test_submitted_calls(three: Opened) -> None:
    """Submitted calls overlap and give what calls give; closing waits for those under way."""
    session = three(contexts=1)
    cases = [{"x": x_of(rows, rows)} for rows in (1, 16, 64)]
    expected = alone(session, cases)
    futures = [(turn % 3, session.submit(cases[turn % 3])) for turn in range(90)]
    session.close()
    for which, future in futures:
        assert same_bits(future.result(60), expected[which])


def test_closing_beside_callers(three: Opened) -> None:
    """Threads that call while the session is closed get their results, or are told that it is closed."""
    session = three()
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


def test_kept_memory_is_given_back(three: Opened) -> None:
    """Page-locked memory of results that are gone goes back in later calls."""
    with three() as session, pytest.MonkeyPatch.context() as patch:
        kept = [session(x=x_of(64)) for _ in range(4_000)]
        most = session.report()["keep_bytes"]["used"]
        del kept
        patch.setattr("onepass.runtime.gpu.slots._IDLE_SECONDS", 0.0)
        for _ in range(8_000):
            session(x=x_of(64))
        # What is left of the last allocation, and that which the last result lay in.
        assert session.report()["keep_bytes"]["used"] <= 2 * _SLAB_BYTES < most / 2
