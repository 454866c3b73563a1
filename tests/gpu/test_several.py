"""One session over real GPUs; what needs two is skipped where there is one."""

from __future__ import annotations

import os
import resource
import threading
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import DeviceError, InputError, Plan, UnsupportedModelError
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import device_count
from tests.checker import assert_same, check
from tests.gpu.tools import OnGpu, on_host, plan_for, plan_of
from tests.runtime.gpu import options_for
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads
from tests.zoo import ZOO, Animal

pytestmark = pytest.mark.gpu


def _count() -> int:
    try:
        return device_count()
    except onepass.OnepassError:
        return 0


needs_two = pytest.mark.skipif(_count() < 2, reason="this needs two GPUs")


@pytest.fixture(scope="module")
def three() -> Plan:
    """An engine with three heads, for batches from 1 to 64."""
    return plan_of(THREE.graph, batch=(1, 4, 64))


@needs_two
@pytest.mark.parametrize("animal", ZOO[::4], ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on a part of the zoo, with two GPUs."""
    try:
        plan = plan_for(animal.graph, options_for(animal))
    except (UnsupportedModelError, InputError) as error:
        pytest.skip(f"not for this TensorRT: {error}")
    check(lambda _: onepass.load(plan, device=[0, 1]), animal)


def test_all_that_there_are(three: Plan) -> None:
    """Every GPU is used when enough calls are under way, and gives the same to the bit."""
    count = device_count()
    with onepass.load(three, device="all") as session:
        cases = [{"x": x_of(rows, rows)} for rows in (1, 16, 64)]
        expected = [dict(session(case, copy=True)) for case in cases]
        together = threading.Barrier(4 * count)
        kept: list[Any] = []

        def work(number: int) -> None:
            for turn in range(40):
                together.wait(60)
                which = (turn + number) % 3
                kept.append((which, session(cases[which])))

        in_threads(4 * count, work)
        for which, outputs in kept:
            assert all(np.array_equal(outputs[name], array) for name, array in expected[which].items())
        devices = session.report().get("devices", [session.report()])
        assert len(devices) == count
        assert all(each["passes"] for each in devices)


@needs_two
def test_sixteen_threads(three: Plan) -> None:
    """Sixteen threads that call and submit on two GPUs get what they asked for."""
    with onepass.load(three, device=[0, 1]) as session:

        def work(number: int) -> None:
            for turn in range(40):
                rows, seed = 1 + (number + turn) % 4, number * 1000 + turn
                future = session.submit(x=x_of(rows, seed + 1))
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))
                assert_same(future.result(60), THREE.reference({"x": x_of(rows, seed + 1)}))

        in_threads(16, work)


@needs_two
def test_arrays_run_on_their_own_gpu(three: Plan) -> None:
    """An array on a GPU is computed there, and its outputs stay there; inputs elsewhere are refused."""
    with onepass.load(three, device=[1, 0]) as session:
        for turn in range(20):
            outputs = session(x=OnGpu(Device(turn % 2), x_of(3, turn)))
            for name, expected in THREE.reference({"x": x_of(3, turn)}).items():
                found: Any = outputs[name]
                assert isinstance(found, DeviceArray)
                assert found.device == turn % 2
                np.testing.assert_allclose(on_host(found), expected, rtol=1e-5, atol=1e-6)
    with onepass.load(three, device=1) as session, pytest.raises(InputError, match="is on GPU 0"):
        session(x=OnGpu(Device(0), x_of(3)))


@needs_two
def test_memory_is_flat(three: Plan) -> None:
    """Thousands of calls from four threads take no more memory, on both GPUs and on the host, than some hundred."""
    devices = [Device(number) for number in range(2)]
    with onepass.load(three, device=[0, 1]) as session:
        x = [x_of(rows) for rows in (1, 2, 3)]

        def work(calls: int) -> None:
            def many(_: int) -> None:
                for turn in range(calls):
                    session(x=x[turn % 3])

            in_threads(4, many)

        work(300)
        free = [device.memory_bytes()[0] for device in devices]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work(5000)
        if os.environ.get("GPU_IS_SHARED") != "1":
            assert all(was - device.memory_bytes()[0] < 1 << 20 for was, device in zip(free, devices, strict=True))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192


def test_a_gpu_that_is_not_there(three: Plan) -> None:
    """One of several GPUs that is not there is named."""
    with pytest.raises(DeviceError, match=f"device={device_count()}: this process sees {device_count()} GPU"):
        onepass.load(three, device=[0, device_count()])
