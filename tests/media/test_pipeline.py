"""Reading and working side by side, and the channels between the two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from onepass import InputError, MediaError
from onepass.media.channel import Channel
from onepass.media.pipeline import side_by_side
from tests.threads import WAIT_SECONDS, wait

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


# ---- the channel ---------------------------------------------------------------------------------------------------


def test_a_full_channel_makes_the_giver_wait() -> None:
    """The third item goes in only once the first was taken, and nothing is lost."""
    channel: Channel[int] = Channel(2)
    given = threading.Event()

    def give() -> None:
        for item in range(5):
            assert channel.put(item)
            if item == 2:
                given.set()
        channel.finish()

    thread = threading.Thread(target=give)
    thread.start()
    assert not given.wait(0.05)
    assert channel.take() == [0]
    wait(given)
    assert [channel.take(2), channel.take(2), channel.take(2)] == [[1, 2], [3, 4], []]
    thread.join()


def test_a_channel_for_the_newest_never_makes_the_giver_wait() -> None:
    """Whatever came while nobody took, the taker gets the newest."""
    channel: Channel[int] = Channel(1, newest=True)
    assert all(channel.put(item) for item in range(100))
    channel.finish()
    assert channel.take() == [99]
    assert channel.take() == []


def test_an_error_comes_after_the_last_item() -> None:
    """What was given before the error is taken first; then the error is raised, however often one asks."""
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.finish(MediaError("gone"))
    assert channel.take(2) == [1]
    for _ in range(2):
        with pytest.raises(MediaError, match="gone"):
            channel.take()


def test_a_stopped_channel_takes_nothing_more() -> None:
    """A giver that waits is told at once, and what was inside is gone."""
    channel: Channel[int] = Channel(1)
    channel.put(0)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(channel.put(1)))
    thread.start()
    channel.stop()
    thread.join(WAIT_SECONDS)
    assert answers == [False]
    assert channel.take() == []


# ---- side by side --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 7, 50])
def test_a_slow_worker_loses_nothing(batch: int) -> None:
    """However far the reader could run ahead, every item is worked on, in order, in full batches but for the last."""
    taken: list[int] = []
    waiting = threading.Event()

    def read() -> Iterator[int]:
        for item in range(20):
            if item >= min(2 * batch, 19):
                waiting.set()
            yield item

    def work(items: list[int]) -> list[int]:
        wait(waiting)  # the reader has as much as it can have before we begin, or all there is
        taken.append(len(items))
        return [item * 10 for item in items]

    assert list(side_by_side(read(), work, batch=batch)) == [item * 10 for item in range(20)]
    assert taken == [min(batch, 20 - done) for done in range(0, 20, batch)]


def test_a_reader_never_runs_far_ahead() -> None:
    """While the worker is busy, the reader holds one batch, one more item, and reads no further."""
    read_so_far: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def read() -> Iterator[int]:
        for item in range(100):
            read_so_far.append(item)
            yield item

    def work(items: list[int]) -> list[int]:
        begun.set()
        wait(go)
        return items

    with closing(side_by_side(read(), work, batch=4)) as results:
        thread = threading.Thread(target=lambda: next(results))
        thread.start()
        wait(begun)
        assert len(read_so_far) <= 4 + 4 + 1
        go.set()
        thread.join()
    assert len(read_so_far) < 30


def test_the_newest_item_wins() -> None:
    """While the worker is busy a live source goes on, and the worker's next item is the newest there is."""
    busy, ten_more = threading.Event(), threading.Event()
    seen: list[int] = []

    def read() -> Iterator[int]:
        yield 0
        wait(busy)
        yield from range(1, 11)
        ten_more.set()

    def work(items: list[int]) -> list[int]:
        busy.set()
        wait(ten_more)
        seen.extend(items)
        return items

    assert list(side_by_side(read(), work, newest=True)) == seen == [0, 10]


def test_no_delay_builds_up() -> None:
    """A worker that takes as long as five frames last gets every fifth, and never an older one than the newest."""
    may_come, have_come = threading.Semaphore(1), threading.Semaphore(0)

    def read() -> Iterator[int]:
        for item in range(101):
            assert may_come.acquire(timeout=WAIT_SECONDS)
            yield item
            have_come.release()

    def work(items: list[int]) -> list[int]:
        if items[0] == 0:
            have_come.acquire(timeout=WAIT_SECONDS)
        if items[0] < 100:
            may_come.release(5)
            assert all(have_come.acquire(timeout=WAIT_SECONDS) for _ in range(5))
        return items

    assert list(side_by_side(read(), work, newest=True)) == list(range(0, 101, 5))


def test_an_error_of_the_reader_ends_all() -> None:
    """The results of all items before the error come first, then the error itself."""

    def read() -> Iterator[int]:
        yield from range(5)
        raise MediaError("unplugged")

    results: list[int] = []
    with pytest.raises(MediaError, match="unplugged"):
        results.extend(side_by_side(read(), lambda items: items, batch=2))
    assert results == [0, 1, 2, 3, 4]


def test_an_error_of_the_worker_ends_all() -> None:
    """An endless reader ends too, and the results before the error are not lost."""

    def read() -> Iterator[int]:
        item = 0
        while True:
            yield item
            item += 1

    def work(items: list[int]) -> list[int]:
        return [100 // (3 - item) for item in items]

    results: list[int] = []
    with pytest.raises(ZeroDivisionError):
        results.extend(side_by_side(read(), work))
    assert results == [33, 50, 100]


def test_a_caller_that_has_enough_ends_all() -> None:
    """Closing the iterator ends reader and worker, also where both wait."""

    def read() -> Iterator[int]:
        while True:
            yield 1

    with closing(side_by_side(read(), lambda items: items, batch=3)) as results:
        assert next(results) == 1


@pytest.mark.parametrize(("batch", "newest"), [(0, False), (2, True)])
def test_batches_that_cannot_be_meant(batch: int, newest: bool) -> None:
    """No batch, or waiting for several frames of a live source, is refused at once."""
    with pytest.raises(InputError, match="batch"):
        side_by_side([1], lambda items: items, batch=batch, newest=newest)
