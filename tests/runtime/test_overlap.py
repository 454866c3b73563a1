"""Calls that overlap on one execution context: the copies of the one beside the computation of the other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import BackendError, Session
from tests.checker import assert_same
from tests.fakes.cuda import FakeCuda
from tests.runtime.gpu import busy, fake_gpu, plan_for, plan_of
from tests.runtime.three import THREE, expected_of, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME

APIS = ("8.5.3", "10.16.1")


def _session() -> Session:
    return onepass.load(plan_of(THREE.graph, batch=(1, 4, 64)), contexts=1)


def _calls(cuda: FakeCuda, call: Callable[[], Any]) -> Counter[str]:
    before = Counter(cuda.calls)
    call()
    found = Counter(cuda.calls) - before
    found.pop("cuCtxGetCurrent", None)
    return found


def _warm(session: Session, rows: int = 3) -> None:
    """Bring both lanes to where calls repeat what is recorded."""
    for seed in range(4):
        with busy(partial(session, x=x_of(rows, seed))) as results:
            assert_same(session(x=x_of(rows, seed)), expected_of(rows, seed))
        assert_same(results[0], expected_of(rows, seed))


@pytest.mark.parametrize("api", APIS)
def test_a_second_call_does_not_wait_for_the_first(api: str) -> None:
    """While one call is under way a second goes through beside it, its copies in a stream of their own."""
    with fake_gpu(api) as (cuda, trt), _session() as session:
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            counted = _calls(cuda, lambda: assert_same(session(x=x_of(3, 2)), expected_of(3, 2)))
        assert_same(results[0], expected_of(3, 1))
        assert counted == {
            "cuMemcpyAsync": 2,
            "cuGraphLaunch": 1,
            "cuStreamSynchronize": 1,
            "cuEventRecord": 3,  # inputs there; the call before, which ran alone; computed
            "cuStreamWaitEvent": 3,
        }
        assert session.report()["contexts"] == {"now": 1, "at_most": 1}
        assert trt.live["IExecutionContext"] == (1 if api == "8.5.3" else 2)


@pytest.mark.parametrize("api", APIS)
def test_calls_that_overlap_all_the_time(api: str) -> None:
    """Each of two callers always finds the other's call under way; every result is its own, and stays."""
    with fake_gpu(api), _session() as session:
        kept = []
        for seed in range(0, 40, 2):
            with busy(partial(session, x=x_of(3, seed))) as results:
                kept.append((seed + 1, session(x=x_of(3, seed + 1))))
            kept.append((seed, results[0]))
        for seed, outputs in kept:
            assert_same(outputs, expected_of(3, seed))


@pytest.mark.parametrize("api", APIS)
def test_other_shapes_and_choices_beside(api: str) -> None:
    """Calls of other shapes, for some outputs only, with arrays to fill, and with inputs that are lent go beside."""
    with fake_gpu(api), _session() as session:
        _warm(session)
        lent = session.empty_inputs(x=(2, 4))
        target = np.empty((5, 4), np.float32)
        for seed in range(6):
            lent["x"][...] = x_of(2, seed)
            with busy(partial(session, x=x_of(3, seed))) as results:
                assert_same(session(x=x_of(7, seed)), expected_of(7, seed))
                assert_same(session(lent), expected_of(2, seed))
                wanted = session(x=x_of(3, seed), outputs=["ant"])
                assert_same(wanted, {"ant": expected_of(3, seed)["ant"]})
                outputs = session(x=x_of(5, seed), out={"zebra": target})
                assert outputs["zebra"] is target
                assert_same(outputs, expected_of(5, seed))
            assert_same(results[0], expected_of(3, seed))


@pytest.mark.parametrize("name", ["data-dependent shape", "a loop that shadows an output", "output int64"])
@pytest.mark.parametrize("api", APIS)
def test_what_cannot_be_recorded_runs_beside_too(api: str, name: str) -> None:
    """An engine whose passes TensorRT has to queue anew each time gives every thread its own results."""
    animal = BY_NAME[name]
    with fake_gpu(api), onepass.load(plan_for(animal), contexts=1) as session:

        def work(number: int) -> None:
            for turn in range(6):
                case = animal.cases[(number + turn) % len(animal.cases)]
                assert_same(session(case), animal.reference(case))

        in_threads(4, work)


@pytest.mark.parametrize("function", ["cuGraphLaunch", "cuMemcpyAsync", "cuEventRecord", "cuStreamSynchronize"])
@pytest.mark.parametrize("api", APIS)
def test_an_error_in_the_middle(api: str, function: str) -> None:
    """A call that fails beside another is told so; the other, and the next calls, are right."""
    with fake_gpu(api) as (cuda, _), _session() as session:
        _warm(session)
        for _ in range(2):
            with busy(lambda: session(x=x_of(3, 1))) as results:
                cuda.fail_next(function, "CUDA_ERROR_LAUNCH_FAILED")
                with pytest.raises(BackendError, match="CUDA_ERROR_LAUNCH_FAILED"):
                    session(x=x_of(3, 2))
                assert_same(session(x=x_of(3, 4)), expected_of(3, 4))
            assert_same(results[0], expected_of(3, 1))
            assert_same(session(x=x_of(3, 3)), expected_of(3, 3))


@pytest.mark.parametrize("api", APIS)
def test_the_first_call_fails(api: str) -> None:
    """If the call that was there first fails, the one beside it is right."""
    with fake_gpu(api) as (cuda, _), _session() as session:
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            assert_same(session(x=x_of(3, 2)), expected_of(3, 2))
            cuda.fail_next("cuStreamSynchronize", "CUDA_ERROR_LAUNCH_FAILED")
        assert isinstance(results.pop(), BackendError)  # whose traceback refers to the engine
        assert_same(session(x=x_of(3, 3)), expected_of(3, 3))


def test_large_inputs_alone_and_beside() -> None:
    """Inputs that several threads copy arrive whole, with the same calls of CUDA as small ones."""
    with (
        fake_gpu("10.16.1") as (cuda, _),
        onepass.load(plan_of(THREE.graph, shapes=[{"x": ((1, 4), (4, 4), (200_000, 4))}]), contexts=1) as session,
    ):
        for seed in range(4):
            outputs = session(x=x_of(190_001, seed))
            assert_same(outputs, expected_of(190_001, seed))
        assert _calls(cuda, lambda: session(x=x_of(190_001))) == {"cuGraphLaunch": 1, "cuStreamSynchronize": 1}
        with busy(lambda: session(x=x_of(190_001, 3))) as results:
            assert_same(session(x=x_of(180_000, 4)), expected_of(180_000, 4))
            assert_same(session(x=x_of(190_001, 5)), expected_of(190_001, 5))
        assert_same(results[0], expected_of(190_001, 3))


@pytest.mark.parametrize("api", APIS)
def test_closing_with_calls_under_way(api: str) -> None:
    """Closing waits for calls that overlap; their results are right and stay."""
    with fake_gpu(api):
        session = _session()
        _warm(session)
        futures = [session.submit(x=x_of(3, seed)) for seed in range(12)]
        closing = threading.Thread(target=session.close)
        closing.start()
        for seed, future in enumerate(futures):
            assert_same(future.result(20), expected_of(3, seed))
        closing.join(20)
        assert session.closed


def test_submitted_calls_overlap() -> None:
    """Two workers serve one context, so that submitted calls go beside each other with TensorRT 8.5 too."""
    with fake_gpu("8.5.3"), _session() as session:
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            assert_same(session.submit(x=x_of(3, 2)).result(20), expected_of(3, 2))
            assert not results
        assert_same(results[0], expected_of(3, 1))
        assert session._backend.concurrency == 2
