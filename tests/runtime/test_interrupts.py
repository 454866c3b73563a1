"""Ctrl-C at any moment of a call: the session stays usable, with all of its lanes, and results are right."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

import onepass
from onepass import Session
from onepass.runtime.gpu._lanes import Group, Lanes
from tests.checker import assert_same
from tests.fakes.cuda import FakeCuda
from tests.runtime.gpu import busy, fake_gpu, plan_of
from tests.runtime.three import THREE, expected_of, x_of
from tests.unwatched import unwatched

_MOST_CALLS = 200


@contextmanager
def _interrupt(cuda: FakeCuda, number: int) -> Iterator[list[str]]:
    """Let the call of CUDA of this number, from 0, end in a KeyboardInterrupt; say which it was.

    Calls that let go of something are not counted: one that is not made leaves that behind, and nothing else.
    """
    before, left, which = cuda.before, [number], list[str]()
    here = threading.current_thread()

    def interrupted(name: str, **options: Any) -> None:
        before(name, **options)
        if threading.current_thread() is here and not ("Destroy" in name or "Free" in name):
            left[0] -= 1
            if left[0] == -1:
                which.append(name)
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "before", interrupted)
        yield which


def _lanes_are_all_there(session: Session) -> bool:
    backend: Any = session._backend
    return all(len(each.at_rest) == len(each.beside) == len(each.queues) for each in backend._lanes.groups)


@pytest.mark.parametrize("situation", ["cold", "second", "recording", "warm", "beside", "beside, cold"])
@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_an_interrupt_in_any_call_of_cuda(api: str, situation: str) -> None:
    """Wherever a call is broken off, the next calls are right, one after the other and side by side."""
    reached = set()
    with fake_gpu(api) as (cuda, _):
        plan = plan_of(THREE.graph, batch=(1, 4, 64))
        for number in range(_MOST_CALLS):
            with onepass.load(plan, contexts=1) as session:
                for seed in range({"cold": 0, "second": 1, "recording": 2, "beside, cold": 3}.get(situation, 4)):
                    session(x=x_of(3, seed))
                if situation == "beside":
                    with busy(lambda: session(x=x_of(3, 1))):
                        for seed in range(4):
                            session(x=x_of(3, seed))
                kept = session(x=x_of(3, 9)) if situation != "cold" else None
                with _interrupt(cuda, number) as which:
                    _broken_off(session, beside=situation.startswith("beside"))
                assert _lanes_are_all_there(session), which
                for seed in range(3):
                    with busy(lambda seed=seed: session(x=x_of(3, seed))) as results:  # type: ignore[misc]
                        assert_same(session(x=x_of(3, seed + 10)), expected_of(3, seed + 10))
                    assert_same(results[0], expected_of(3, seed))
                if kept is not None:
                    assert_same(kept, expected_of(3, 9))
            if not which:
                break
            reached.update(which)
    assert not which, "the call never came to its end"
    assert "cuStreamSynchronize" in reached


def _broken_off(session: Session, *, beside: bool) -> None:
    def call() -> None:
        try:
            session(x=x_of(3, 5))
        except KeyboardInterrupt:
            return

    if beside:
        with busy(lambda: session(x=x_of(3, 4))) as results:
            call()
        assert_same(results[0], expected_of(3, 4))
    else:
        call()


def _made(*_: object) -> Any:
    return SimpleNamespace(lanes=(SimpleNamespace(), SimpleNamespace()), close=lambda: None)


@unwatched()
def test_no_lane_is_lost_to_signals() -> None:
    """Signals that raise at thousands of different moments leave every lane in the pool."""
    interrupts = 0

    def handler(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    groups: list[Group[Any]] = [Group(_made, limit=limit) for limit in (2, 1)]
    lanes = Lanes(groups)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for turn in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + turn % 97), 0.1)
                while True:
                    _use_two(lanes)
            except KeyboardInterrupt:
                interrupts += 1
            for each in groups:
                free = [id(lane) for lane in (*each.at_rest, *each.beside)]
                assert len(set(free)) == len(free) == 2 * len(each.queues)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts == 2000


def _use_two(lanes: Lanes[Any]) -> None:
    """Hold two lanes at once, as calls do."""
    first: list[Any] = []
    try:
        lanes.take(first)
        second: list[Any] = []
        try:
            lanes.take(second)
        finally:
            if second:
                second[0].home.extend(second)
                lanes.tell()
    finally:
        if first:
            first[0].home.extend(first)
            lanes.tell()


def test_who_waits_looks_again_by_himself() -> None:
    """A caller whose neighbour gave its lane back and was interrupted before telling does not wait for ever."""
    lanes: Lanes[Any] = Lanes([Group(_made, limit=1)])
    held: list[list[Any]] = [[], []]
    for each in held:
        lanes.take(each)
    got: deque[Any] = deque()
    waiting = threading.Thread(target=lambda: got.append(lanes.take([])))
    waiting.start()
    held[0][0].home.extend(held[0])  # and nobody tells
    waiting.join(20)
    assert list(got) == held[0]
