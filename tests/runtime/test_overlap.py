"""Calls that overlap on one execution context: the copies of the one beside the computation of the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from onepass import BackendError, Session
from onepass.runtime.cuda import copying
from onepass.runtime.gpu import frozen_pass
from tests.checker import assert_same
from tests.fakes.cuda import FakeCuda
from tests.runtime.gpu import busy, calls_of, fake_session
from tests.runtime.three import THREE, expected_of, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME

APIS = ("8.5.3", "10.16.1")
KINDS = (*APIS, "cuda")


@contextmanager
def _opened(kind: str, *, rows: int = 64) -> Iterator[tuple[FakeCuda, Session]]:
    """Open the three-headed model in one context, on a TensorRT or on ONNX Runtime's CUDA provider."""
    with fake_session(kind, THREE.graph, contexts=1, shapes=[{"x": ((1, 4), (4, 4), (rows, 4))}]) as opened:
        yield opened


def _warm(session: Session, rows: int = 3) -> None:
    """Bring both lanes to where calls repeat what is recorded."""
    for seed in range(4):
        with busy(partial(session, x=x_of(rows, seed))) as results:
            assert_same(session(x=x_of(rows, seed)), expected_of(rows, seed))
        assert_same(results[0], expected_of(rows, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_call_does_not_wait_for_the_first(kind: str) -> None:
    """While one call is under way a second goes through beside it, its copies in a stream of their own."""
    with _opened(kind) as (cuda, session):
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            counted = calls_of(cuda, lambda: assert_same(session(x=x_of(3, 2)), expected_of(3, 2)))
        assert_same(results[0], expected_of(3, 1))
        assert counted == {
            "cuMemcpyAsync": 2,
            "cuGraphLaunch": 1,
            "cuStreamSynchronize": 1,
            "cuEventRecord": 3,  # inputs there; the call before, which ran alone; computed
            "cuStreamWaitEvent": 3,
        }
        assert session.report()["contexts"] == {"now": 1, "at_most": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_calls_that_overlap_all_the_time(kind: str) -> None:
    """Each of two callers always finds the other's call under way; every result is its own, and stays."""
    with _opened(kind) as (_, session):
        kept = []
        for seed in range(0, 40, 2):
            with busy(partial(session, x=x_of(3, seed))) as results:
                kept.append((seed + 1, session(x=x_of(3, seed + 1))))
            kept.append((seed, results[0]))
        for seed, outputs in kept:
            assert_same(outputs, expected_of(3, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_other_shapes_and_choices_beside(kind: str) -> None:
    """Calls of other shapes, for some outputs only, with arrays to fill, and with inputs that are lent go beside."""
    with _opened(kind) as (_, session):
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
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_recorded_runs_beside_too(kind: str, name: str) -> None:
    """A model whose passes have to be queued anew each time gives every thread its own results."""
    animal = BY_NAME[name]
    with fake_session(kind, animal, contexts=1) as (_, session):

        def work(number: int) -> None:
            for turn in range(6):
                case = animal.cases[(number + turn) % len(animal.cases)]
                assert_same(session(case), animal.reference(case))

        in_threads(4, work)


@pytest.mark.parametrize("function", ["cuGraphLaunch", "cuMemcpyAsync", "cuEventRecord", "cuStreamSynchronize"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_the_middle(kind: str, function: str) -> None:
    """A call that fails beside another is told so; the other, and the next calls, are right."""
    with _opened(kind) as (cuda, session):
        _warm(session)
        for _ in range(2):
            with busy(lambda: session(x=x_of(3, 1))) as results:
                cuda.fail_next(function, "CUDA_ERROR_LAUNCH_FAILED")
                with pytest.raises(BackendError, match="CUDA_ERROR_LAUNCH_FAILED"):
                    session(x=x_of(3, 2))
                assert_same(session(x=x_of(3, 4)), expected_of(3, 4))
            assert_same(results[0], expected_of(3, 1))
            assert_same(session(x=x_of(3, 3)), expected_of(3, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_call_fails(kind: str) -> None:
    """If the call that was there first fails, the one beside it is right."""
    with _opened(kind) as (cuda, session):
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            assert_same(session(x=x_of(3, 2)), expected_of(3, 2))
            cuda.fail_next("cuStreamSynchronize", "CUDA_ERROR_LAUNCH_FAILED")
        assert isinstance(results.pop(), BackendError)  # whose traceback refers to the engine
        assert_same(session(x=x_of(3, 3)), expected_of(3, 3))


@pytest.mark.parametrize("kind", ["10.16.1", "cuda"])
def test_large_inputs_alone_and_beside(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs that several threads copy arrive whole, with the same calls of CUDA as small ones."""
    for module in (copying, frozen_pass):
        monkeypatch.setattr(module, "SHARED_BYTES", 512 << 10)
    with _opened(kind, rows=200_000) as (cuda, session):
        for seed in range(4):
            outputs = session(x=x_of(190_001, seed))
            assert_same(outputs, expected_of(190_001, seed))
        assert calls_of(cuda, lambda: session(x=x_of(190_001))) == {"cuGraphLaunch": 1, "cuStreamSynchronize": 1}
        with busy(lambda: session(x=x_of(190_001, 3))) as results:
            assert_same(session(x=x_of(180_000, 4)), expected_of(180_000, 4))
            assert_same(session(x=x_of(190_001, 5)), expected_of(190_001, 5))
        assert_same(results[0], expected_of(190_001, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_closing_with_calls_under_way(kind: str) -> None:
    """Closing waits for calls that overlap; their results are right and stay."""
    with _opened(kind) as (_, session):
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
    with _opened("8.5.3") as (_, session):
        _warm(session)
        with busy(lambda: session(x=x_of(3, 1))) as results:
            assert_same(session.submit(x=x_of(3, 2)).result(20), expected_of(3, 2))
            assert not results
        assert_same(results[0], expected_of(3, 1))
        assert session._backend.concurrency == 2
