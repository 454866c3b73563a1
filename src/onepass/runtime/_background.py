"""Submitted calls: as many at once as the backend runs concurrently, and a bounded queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from onepass._interrupts import start_thread
from onepass.outputs import Outputs

MOST_WAITING = 32
"""Maximum number of submitted calls in the queue; each holds a copy of its inputs."""

_PAUSE_S = 0.2e-3
_LAST_WORDS_S = 1.0  # for a worker whose calls have all ended; it may be in a user's callback

# Thread-local: the mark of the worker group that a thread belongs to, in any session.
_thread = threading.local()


class Work:
    """A submitted call, active until it has run or was cancelled.

    It holds a view of the session's gate, so that the session is not freed before the call has run.
    """

    def __init__(self, place: Callable[[], memoryview]) -> None:
        """Create a call without inputs.

        Args:
            place: Returns another view of the gate. It is a C function, so no signal handler can run between creating
                and storing the view.
        """
        self.ended = False
        self.feeds: dict[str, Any] = {}
        self._new_place = place
        self._place: memoryview | None = None

    def fill(self, feeds: Mapping[str, Any]) -> None:
        """Take a view of the gate and the inputs."""
        self._place = self._new_place()
        self.feeds.update(feeds)

    def run(self, function: Callable[..., Outputs], *arguments: Any) -> Outputs | None:
        """Call the function with the inputs and arguments, then end; return None if the work has already ended."""
        # Its own view, because the submitting thread may end this work at any time if it is interrupted.
        with self._new_place():
            if self.ended:
                return None
            try:
                return function(self.feeds, *arguments)
            finally:
                self.end()

    def empty(self) -> None:
        """Release the view and the memory of the inputs."""
        self.feeds = {}
        place, self._place = self._place, None
        if place is not None:
            place.release()

    def end(self) -> None:
        """End the work; ending again does nothing."""
        self.ended = True
        self.empty()


class Background:
    """Worker threads, started on demand; they end when this object is shut down or gone.

    Not a `concurrent.futures.ThreadPoolExecutor`: Ctrl-C in its `submit` can leave a lock held, and then no call ever
    ends. Here the threads share only a queue implemented in C.
    """

    def __init__(self, workers: int) -> None:
        """Prepare the workers.

        Args:
            workers: Number of calls that run concurrently.
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
        """Whether the calling thread is one of the workers, such as in a future's callback."""
        return getattr(_thread, "works_for", None) is self._mark

    def submit(self, work: Work, function: Callable[..., Outputs], *arguments: Any) -> Future[Any] | None:
        """Run the work in the background; return None if the queue is full.

        For a worker of any session, the queue is never full: if it blocked, its own call might never end.
        """
        is_worker = getattr(_thread, "works_for", None) is not None
        with self._lock:
            self._under_way = [each for each in self._under_way if not each.ended]
            waiting = len(self._under_way)
            if not is_worker and waiting >= self._workers + MOST_WAITING:
                return None
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) < min(waiting + 1, self._workers):
                # A thread must not refer to this object, or a dropped session would never be freed.
                thread = threading.Thread(
                    target=_work, args=(self._queue, self._mark), name="onepass-worker", daemon=True
                )
                self._threads.append(thread)
                start_thread(thread)
            future: Future[Any] = Future()
            # A call ends with its future, also if the future is cancelled before the call starts.
            future.add_done_callback(lambda _: work.end())
            self._under_way.append(work)
            self._queue.put(_Item(future, partial(work.run, function, *arguments)))
        return future

    def pause(self) -> None:
        """Wait a moment for room in the queue."""
        time.sleep(_PAUSE_S)

    def drain(self) -> None:
        """Wait until all calls have ended."""
        while any(not each.ended for each in self._under_way):
            self.pause()

    def shutdown(self) -> None:
        """End the workers and wait for them; all calls must have ended."""
        self._let_go()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_LAST_WORDS_S)

    def _let_go(self) -> None:
        for _ in self._threads:
            self._queue.put(None)


class _Item(NamedTuple):
    """A queue entry."""

    future: Future[Any]
    call: Callable[[], Any]


def _work(items: SimpleQueue[_Item | None], mark: object) -> None:
    """Run queue entries until None arrives."""
    _thread.works_for = mark
    while (item := items.get()) is not None:
        if item.future.set_running_or_notify_cancel():
            try:
                result = item.call()
            except BaseException as error:  # noqa: BLE001 - passed on to the caller
                item.future.set_exception(error)
            else:
                item.future.set_result(result)
                del result
        del item  # otherwise its inputs would stay alive until the next item arrives
