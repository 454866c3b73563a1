"""The line before a model: what is computed together, who gets what, and what happens to those who leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import BackendError, InputError, Session
from onepass.serve.batcher import Batcher, Done
from onepass.serve.faults import Fault, Kind
from onepass.serve.limits import Limits
from tests.serve.served import Array, Gated, heads, heads_of

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def rows(count: int, value: float = 1.0) -> dict[str, Array]:
    """Return an input of the gated model."""
    return {"x": np.full((count, 2), value, np.float32)}


@contextmanager
def line(session: Session, *, most_rows: int = 8, limits: Limits | None = None) -> Iterator[Batcher]:
    """Stand a line before a session until the block ends."""
    batcher = Batcher(
        session, limits or Limits(), most_rows=most_rows, passes=session.concurrency, observe=lambda *_: None
    )
    with session:
        yield batcher
        batcher.close()


def behind_one(
    backend: Gated, work: Callable[[Batcher], Awaitable[Any]], *, most_rows: int = 8, limits: Limits | None = None
) -> Any:
    """Do something while the only pass is under way and waits, then let it go on; return what was returned."""

    async def main(batcher: Batcher) -> Any:
        backend.gate.clear()
        first = asyncio.ensure_future(batcher.run(rows(1), ("y",)))
        await asyncio.to_thread(backend.begun.acquire)
        working = asyncio.ensure_future(work(batcher))
        await asyncio.sleep(0.01)
        backend.gate.set()
        await first
        return await working

    with line(Session(backend), most_rows=most_rows, limits=limits) as batcher:
        return asyncio.run(main(batcher))


async def all_of(batcher: Batcher, inputs: list[dict[str, Array]]) -> list[Done | BaseException]:
    """Ask for all at once."""
    return await asyncio.gather(*(batcher.run(each, ("y",)) for each in inputs), return_exceptions=True)


def test_a_lone_request_does_not_wait() -> None:
    """A request that finds the model free is computed at once, by itself."""
    backend = Gated()
    with line(Session(backend)) as batcher:
        done = asyncio.run(batcher.run(rows(3), ("y",)))
    assert backend.rows == [3]
    np.testing.assert_array_equal(done.outputs["y"], np.full((3, 2), 2.0))


def test_what_waits_is_computed_together() -> None:
    """Requests that come while a pass is under way are the next pass, and each gets its own rows, without a copy."""
    backend = Gated()
    found = behind_one(backend, lambda batcher: all_of(batcher, [rows(n, n) for n in (1, 2, 3)]))
    assert backend.rows == [1, 6]
    for n, done in zip((1, 2, 3), found, strict=True):
        np.testing.assert_array_equal(done.outputs["y"], np.full((n, 2), 2.0 * n))
    assert found[0].outputs["y"].base is found[1].outputs["y"].base is not None


def test_a_pass_is_never_too_large() -> None:
    """A pass takes no more rows than it may; what is larger by itself is a pass of its own, for the model to judge."""
    backend = Gated()
    behind_one(backend, lambda batcher: all_of(batcher, [rows(3), rows(3), rows(1), rows(9), rows(8)]), most_rows=6)
    assert backend.rows == [1, 6, 1, 9, 8]


def test_one_row_a_pass_joins_nothing() -> None:
    """A model whose rows cannot be joined gets each request by itself."""
    backend = Gated()
    behind_one(backend, lambda batcher: all_of(batcher, [rows(1)] * 3), most_rows=1)
    assert backend.rows == [1, 1, 1, 1]


def test_other_shapes_dtypes_and_choices_are_not_mixed() -> None:
    """What is joined has the same shapes, dtypes and outputs; what is wrong gets its own error, and harms nobody."""
    x = np.arange(8, dtype=np.float32).reshape(2, 4)

    async def ask(batcher: Batcher) -> list[Any]:
        wrong: list[dict[str, Array]] = [
            {"x": x.astype(np.float64)},
            {"x": x[:, :3]},
            {"y": x},
            {"x": x[0, 0].reshape(())},
            {},
        ]
        good = [batcher.run({"x": x + n}, names) for n in range(3) for names in (("zebra", "ant"), ("monkey",))]
        return await asyncio.gather(*good, *(batcher.run(each, ("ant",)) for each in wrong), return_exceptions=True)

    with line(heads(), most_rows=32) as batcher:
        found = asyncio.run(ask(batcher))
    for at, done in enumerate(found[:6]):
        want = heads_of(x + at // 2)
        assert list(done.outputs) == (["monkey"] if at % 2 else ["zebra", "ant"])
        for name, array in done.outputs.items():
            np.testing.assert_array_equal(array, want[name])
    assert [type(each) for each in found[6:]] == [InputError] * 5


def test_an_error_is_that_of_who_caused_it() -> None:
    """Where a pass of several fails, each is computed by itself: only the guilty one fails."""
    backend = Gated(poison=7.0)
    found = behind_one(backend, lambda batcher: all_of(batcher, [rows(1, n) for n in (6.0, 7.0, 8.0)]))
    assert [type(each) for each in found] == [Done, BackendError, Done]
    np.testing.assert_array_equal(found[2].outputs["y"], [[16.0, 16.0]])


def test_too_little_memory_for_many_is_enough_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory for the joined rows is not to be had, each request is computed by itself."""

    def concatenate(_arrays: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(np, "concatenate", concatenate)
    backend = Gated()
    found = behind_one(backend, lambda batcher: all_of(batcher, [rows(1), rows(2)]))
    assert [type(each) for each in found] == [Done, Done]
    assert backend.rows == [1, 1, 2]


def test_a_busy_event_loop_does_not_keep_the_model_waiting() -> None:
    """When a pass ends, the next begins, though the event loop has other things to do at that moment."""
    backend = Gated()

    async def main(batcher: Batcher) -> None:
        backend.gate.clear()
        first = asyncio.ensure_future(batcher.run(rows(1), ("y",)))
        await asyncio.to_thread(backend.begun.acquire)
        second = asyncio.ensure_future(batcher.run(rows(2), ("y",)))
        await asyncio.sleep(0)
        backend.gate.set()
        assert backend.begun.acquire(timeout=30)  # in the loop's own thread, which does nothing else meanwhile
        assert (await first).outputs["y"].shape == (1, 2)
        assert (await second).outputs["y"].shape == (2, 2)

    with line(Session(backend)) as batcher:
        asyncio.run(main(batcher))


def test_a_full_line_refuses_at_once() -> None:
    """Who comes when the line is full is refused at once; when it is shorter, there is room."""
    backend = Gated()

    async def ask(batcher: Batcher) -> tuple[list[Any], Kind]:
        waiting = [asyncio.ensure_future(batcher.run(rows(1), ("y",))) for _ in range(3)]
        await asyncio.sleep(0)
        assert batcher.waiting == 3
        with pytest.raises(Fault, match="3 requests waiting") as caught:
            batcher.check_room()
        with pytest.raises(Fault):
            await batcher.run(rows(1), ("y",))
        return await asyncio.gather(*waiting), caught.value.kind

    found, kind = behind_one(backend, ask, limits=Limits(max_queue=3))
    assert (len(found), kind) == (3, Kind.OVERLOADED)


def test_who_leaves_frees_the_place() -> None:
    """A request whose client has left is not computed, and its place is free for another."""
    backend = Gated()

    async def ask(batcher: Batcher) -> None:
        leaving = asyncio.ensure_future(batcher.run(rows(4), ("y",)))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert batcher.waiting == 0
        await batcher.run(rows(2), ("y",))

    behind_one(backend, ask, limits=Limits(max_queue=1))
    assert backend.rows == [1, 2]


def test_who_leaves_during_a_pass_harms_nobody() -> None:
    """The pass of a client that leaves goes on, for those who are in it too."""
    backend = Gated()

    async def main(batcher: Batcher) -> None:
        backend.gate.clear()
        leaving = asyncio.ensure_future(batcher.run(rows(4), ("y",)))
        await asyncio.to_thread(backend.begun.acquire)
        leaving.cancel()
        backend.gate.set()
        await batcher.run(rows(2), ("y",))

    with line(Session(backend)) as batcher:
        asyncio.run(main(batcher))
    assert backend.rows == [4, 2]


def test_patience_fills_passes() -> None:
    """Where a request may wait, others are computed with it; a full pass waits no longer."""
    backend = Gated()

    async def main(batcher: Batcher) -> None:
        patient = asyncio.ensure_future(batcher.run(rows(1), ("y",)))
        await asyncio.sleep(0.01)
        await asyncio.gather(patient, batcher.run(rows(3), ("y",)))  # four rows: would otherwise wait for an hour

    with line(Session(backend), most_rows=4, limits=Limits(max_delay_ms=3.6e6)) as batcher:
        asyncio.run(main(batcher))
    assert backend.rows == [4]
    backend = Gated()
    with line(Session(backend), limits=Limits(max_delay_ms=20)) as batcher:
        asyncio.run(batcher.run(rows(1), ("y",)))
    assert backend.rows == [1], "patience ends"


def test_passes_overlap() -> None:
    """As many passes are under way at once as the model runs side by side."""
    backend = Gated(concurrency=3)

    async def main(batcher: Batcher) -> None:
        backend.gate.clear()
        asked = []
        for _ in range(5):
            asked.append(asyncio.ensure_future(batcher.run(rows(1), ("y",))))
            await asyncio.sleep(0.002)
        for _ in range(3):
            await asyncio.to_thread(backend.begun.acquire)
        assert not backend.begun.acquire(timeout=0.02)
        backend.gate.set()
        await asyncio.gather(*asked)

    with line(Session(backend)) as batcher:
        asyncio.run(main(batcher))
    assert backend.rows == [1, 1, 1, 2]


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12), most=st.integers(1, 9))
def test_everybody_gets_their_own_rows(sizes: list[int], most: int) -> None:
    """However requests are joined, each gets the rows that it asked for, in its own order."""
    with line(heads(), most_rows=most) as batcher:

        async def ask() -> list[Done]:
            inputs = [np.random.default_rng(n).standard_normal((size, 4), np.float32) for n, size in enumerate(sizes)]
            found = await asyncio.gather(*(batcher.run({"x": x}, ("zebra", "ant", "monkey")) for x in inputs))
            for x, done in zip(inputs, found, strict=True):
                for name, want in heads_of(x).items():
                    np.testing.assert_allclose(done.outputs[name], want, rtol=1e-5, atol=1e-6)
            return found

        assert len(asyncio.run(ask())) == len(sizes)


def test_closing_waits_for_the_pass_under_way() -> None:
    """A line that is closed takes nothing more, and waits for the pass that is under way."""
    backend = Gated()
    session = Session(backend)
    batcher = Batcher(session, Limits(), most_rows=4, passes=1, observe=lambda *_: None)
    backend.gate.clear()

    async def main() -> None:
        running = asyncio.ensure_future(batcher.run(rows(1), ("y",)))
        await asyncio.to_thread(backend.begun.acquire)
        threading.Timer(0.05, backend.gate.set).start()
        batcher.close()
        with pytest.raises(Fault, match="the server is stopping"):
            await batcher.run(rows(1), ("y",))
        await running

    asyncio.run(main())
    session.close()


def test_closing_answers_those_that_wait_for_others() -> None:
    """A request that waits for others to share its pass is computed when the queue closes, from whatever thread."""
    backend = Gated()
    session = Session(backend)
    batcher = Batcher(session, Limits(max_delay_ms=3.6e6), most_rows=4, passes=2, observe=lambda *_: None)

    async def main() -> Done:
        patient = asyncio.ensure_future(batcher.run(rows(2), ("y",)))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(batcher.close)
        return await asyncio.wait_for(patient, 30)

    np.testing.assert_array_equal(asyncio.run(main()).outputs["y"], np.full((2, 2), 2.0))
    session.close()


@pytest.mark.parametrize(
    "error",
    [ValueError("one"), StopIteration(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()],
    ids=repr,
)
def test_whatever_a_model_raises_its_callers_get_an_error(error: BaseException) -> None:
    """An error of any kind reaches each caller as an exception, and the lane is free for the next request."""

    class Raising(Gated):
        def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
            if (feeds["x"] == 7.0).any():
                raise error
            return super().run(feeds, names)

    async def ask(batcher: Batcher) -> list[Any]:
        return await asyncio.wait_for(all_of(batcher, [rows(1, n) for n in (6.0, 7.0, 8.0, 7.0)]), 30)

    found = behind_one(Raising(), ask)
    assert [isinstance(each, Done) for each in found] == [True, False, True, False]
    assert type(error).__name__ in repr(found[1])
    assert isinstance(found[1], Exception)


@pytest.mark.parametrize("delay", [0.0, 20.0])
def test_a_pass_outlives_its_event_loop(delay: float) -> None:
    """Where an event loop ends during a pass, the next loop's requests are computed, also those that come meanwhile."""
    backend = Gated()

    async def leave(batcher: Batcher) -> None:
        backend.gate.clear()
        leaving = asyncio.ensure_future(batcher.run(rows(8), ("y",)))  # as many rows as a pass takes: no delay
        await asyncio.to_thread(backend.begun.acquire)
        leaving.cancel()

    async def ask(batcher: Batcher) -> list[Any]:
        asked = [asyncio.ensure_future(batcher.run(rows(n), ("y",))) for n in (1, 2)]
        await asyncio.sleep(0.01)
        backend.gate.set()
        return await asyncio.wait_for(asyncio.gather(*asked), 30)

    with line(Session(backend), limits=Limits(max_delay_ms=delay)) as batcher:
        asyncio.run(leave(batcher))
        for _ in range(2):
            found = asyncio.run(ask(batcher))
            assert [done.outputs["y"].shape for done in found] == [(1, 2), (2, 2)]


def test_a_loop_that_ends_before_it_starts_a_pass() -> None:
    """A loop that stops right after a request came in does not keep the next loop's requests waiting."""
    backend = Gated()
    with line(Session(backend)) as batcher:
        loop = asyncio.new_event_loop()
        asked = loop.create_task(batcher.run(rows(1), ("y",)))
        loop.call_soon(loop.stop)
        loop.run_forever()

        async def ask() -> Done:
            return await asyncio.wait_for(batcher.run(rows(2), ("y",)), 30)

        assert asyncio.run(ask()).outputs["y"].shape == (2, 2)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(asked)
        loop.close()
