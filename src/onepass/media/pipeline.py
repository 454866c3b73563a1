"""Read in one thread, work in another, and yield the results in order."""

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
    """Read items in one thread, process them in another, and yield the results in order.

    The three threads (the caller's is the third) wait for the slowest, with at most `batch` items between two of them.
    When one fails, all end: items read before are still processed and yielded, then the error is raised. When the
    caller closes the iterator, the threads end first; a reader that waits for its source ends with the next item.

    Args:
        items: The items to read.
        work: Takes up to `batch` items and returns a result for each.
        batch: Number of items per call of `work`; fewer only at the end.
        newest: Whether to keep only the newest item while `work` is busy, instead of making the reader wait. This
            requires a batch of 1: waiting for more items would make the first one old.

    Raises:
        InputError: `batch` is below 1, or above 1 with `newest`.
    """
    if batch < 1:
        raise InputError(f"batch must be at least 1, got {batch}")
    if newest and batch > 1:
        raise InputError(f"live sources are processed frame by frame (batch 1), got a batch of {batch}")
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
    """Run a task in a thread; when it ends, stop the channel before it and finish the channel after it."""

    def run() -> None:
        error: BaseException | None = None
        try:
            task()
        except BaseException as caught:  # noqa: BLE001 - raised again by the channel's consumer
            error = caught
        if before is not None:
            before.stop()
        after.finish(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
