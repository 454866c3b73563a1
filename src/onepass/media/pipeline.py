"""Read in one thread, work in another, and hand the results on in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TypeVar

from onepass._errors import InputError
from onepass.media.channel import Channel

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    items: Iterable[T], work: Callable[[list[T]], Sequence[R]], *, batch: int = 1, newest: bool = False
) -> Generator[R, None, None]:
    """Read items in one thread, work on them in another, and yield what comes of them, in order.

    The three (the caller's thread is the third) wait for each other where one is slower, with at most `batch` items
    between two of them. When one fails, all end: what was read before is still worked on and yielded, then the error
    is raised. When the caller has enough, the threads end before the iterator is closed; a reader that waits for its
    source ends with the next item.

    Args:
        items: What to read.
        work: Takes up to `batch` items and returns a result for each.
        batch: How many items to work on at once. Fewer only at the end.
        newest: Whether items that come while `work` is busy are dropped in favour of the newest, instead of making
            the reader wait. It needs a batch of 1: waiting for more would make the first one old.

    Raises:
        InputError: `batch` is below 1, or above 1 with `newest`.
    """
    if batch < 1:
        raise InputError(f"batch must be at least 1, got {batch}")
    if newest and batch > 1:
        raise InputError(f"a live source is worked on frame by frame, got a batch of {batch}")
    return _side_by_side(items, work, batch=batch, newest=newest)


def _side_by_side(
    items: Iterable[T], work: Callable[[list[T]], Sequence[R]], *, batch: int, newest: bool
) -> Generator[R, None, None]:
    read: Channel[T] = Channel(batch, newest=newest)
    done: Channel[R] = Channel(batch)

    def reading() -> None:
        for item in items:
            if not read.put(item):
                return

    def working() -> None:
        while taken := read.take(batch):
            for result in work(taken):
                if not done.put(result):
                    return

    threads = [
        _started(reading, before=None, after=read, name="onepass-reader"),
        _started(working, before=read, after=done, name="onepass-worker"),
    ]
    try:
        while results := done.take():
            yield results[0]
    finally:
        done.stop()
        read.stop()
        for thread in threads:
            thread.join()


def _started(task: Callable[[], None], *, before: Channel[T] | None, after: Channel[R], name: str) -> threading.Thread:
    """Run a task in a thread, and tell those before and after it when it ends, and of what."""

    def run() -> None:
        error: BaseException | None = None
        try:
            task()
        except BaseException as caught:  # noqa: BLE001 - raised again where the results are taken
            error = caught
        if before is not None:
            before.stop()
        after.finish(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
