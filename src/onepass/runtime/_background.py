"""Calls in the background: so many at once as the backend runs side by side, and a bounded number that wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from onepass.outputs import Outputs

MOST_WAITING = 32
"""How many submitted calls may wait for a worker; each holds a copy of its inputs."""

_PAUSE_S = 0.2e-3
_LAST_WORDS_S = 1.0  # for a worker whose calls have all ended; it may be in a callback of the caller's

# Of a thread: the mark of the workers it is one of, of whichever session.
_thread = threading.local()


class Work:
    """A submitted call, under way until it has run or was cancelled.

    It holds a place inside the session's gate, so that the session is not freed before it ran.
    """

    def __init__(self, place: Callable[[], memoryview]) -> None:
        """Make a call that is yet to be filled.

        Args:
            place: Gives a place inside, to who has one. It is written in C: no signal comes between the place and who
                holds it.
        """
        self.ended = False
        self.feeds: dict[str, Any] = {}
        self._new_place = place
        self._place: memoryview | None = None

    def fill(self, feeds: Mapping[str, Any]) -> None:
        """Take a place inside, and what the call is fed."""
        self._place = self._new_place()
        self.feeds.update(feeds)

    def run(self, function: Callable[..., Outputs], *arguments: Any) -> Outputs | None:
        """Call the function with the feeds and the arguments, and end; None if this has ended before."""
        # A place of its own: the thread that submitted it may end it at any time, if it is interrupted.
        with self._new_place():
            if self.ended:
                return None
            try:
                return function(self.feeds, *arguments)
            finally:
                self.end()

    def empty(self) -> None:
        """Give back the place and the memory of the feeds."""
        self.feeds = {}
        place, self._place = self._place, None
        if place is not None:
            place.release()

    def end(self) -> None:
        """Be under way no more; ending again does nothing."""
        self.ended = True
        self.empty()


class Background:
    """Worker threads, started as they are needed; they end when this is shut down or gone.

    Not `concurrent.futures.ThreadPoolExecutor`: a Ctrl-C in its `submit` can leave one of its locks taken, after which
    no call ends any more. Here all that threads share is a queue written in C.
    """

    def __init__(self, workers: int) -> None:
        """Prepare the workers.

        Args:
            workers: How many calls run at once.
        """
        self._workers = workers
        self._mark = object()
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way: list[Work] = []
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._let_go()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is one of the workers, as in a future's callback."""
        return getattr(_thread, "works_for", None) is self._mark

    def submit(self, work: Work, function: Callable[..., Outputs], *arguments: Any) -> Future[Any] | None:
        """Run the work in the background; None where there is no room now.

        For a worker, of whichever session, there is always room: its call would never end if others waited for it.
        """
        is_worker = getattr(_thread, "works_for", None) is not None
        with self._lock:
            self._under_way = [each for each in self._under_way if not each.ended]
            waiting = len(self._under_way)
            if not is_worker and waiting >= self._workers + MOST_WAITING:
                return None
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < min(waiting + 1, self._workers):
                # Nothing that a thread holds leads back here, or a session that was dropped would never go.
                thread = threading.Thread(
                    target=_work, args=(self._queue, self._mark), name="onepass-worker", daemon=True
                )
                self._threads.append(thread)
                thread.start()
            future: Future[Any] = Future()
            # A call ends with its future, also where that is cancelled before it began.
            future.add_done_callback(lambda _: work.end())
            self._under_way.append(work)
            self._queue.put(_Item(future, partial(work.run, function, *arguments)))
        return future

    def pause(self) -> None:
        """Wait a moment for room."""
        time.sleep(_PAUSE_S)

    def drain(self) -> None:
        """Wait until all calls have ended."""
        while any(not each.ended for each in self._under_way):
            self.pause()

    def shutdown(self) -> None:
        """Let the workers end, all calls having ended, and wait for them."""
        self._let_go()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_LAST_WORDS_S)

    def _let_go(self) -> None:
        for _ in self._threads:
            self._queue.put(None)


class _Item(NamedTuple):
    """What a worker takes from the queue."""

    future: Future[Any]
    call: Callable[[], Any]


def _work(items: SimpleQueue[_Item | None], mark: object) -> None:
    """Be a worker."""
    _thread.works_for = mark
    while (item := items.get()) is not None:
        if item.future.set_running_or_notify_cancel():
            try:
                result = item.call()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                item.future.set_exception(error)
            else:
                item.future.set_result(result)
                del result
        del item  # or its inputs would stay until the next comes
