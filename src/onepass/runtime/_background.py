"""Calls in the background: so many at once as the backend runs side by side, and a bounded number that wait."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from onepass.outputs import Outputs

MOST_WAITING = 32
"""How many submitted calls may wait for a worker; each holds a copy of its inputs."""

_PAUSE_S = 0.2e-3

# Of a thread: the mark of the workers it is one of, of whichever session.
_thread = threading.local()


class Work:
    """A submitted call, under way until it has run or was cancelled.

    It holds a place inside the session's gate, so that the session is not freed before it ran.
    """

    def __init__(self, again: Callable[[], memoryview]) -> None:
        """Make a call that is yet to be filled.

        Args:
            again: Gives another place inside, to who has one.
        """
        self.ended = False
        self.feeds: dict[str, Any] = {}
        self._again = again
        self._place: memoryview | None = None

    def fill(self, place: memoryview, feeds: Mapping[str, Any]) -> None:
        """Take over a place inside, and what the call is fed."""
        self._place = place
        self.feeds.update(feeds)

    def run(self, function: Callable[..., Outputs], *arguments: Any) -> Outputs | None:
        """Call the function with the feeds and the arguments, and end; None if this has ended before."""
        # A place of its own: the thread that submitted it may end it at any time, if it is interrupted.
        with self._again():
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
    """Worker threads, started as they are needed; they end when this is shut down or gone."""

    def __init__(self, workers: int) -> None:
        """Prepare the workers.

        Args:
            workers: How many calls run at once.
        """
        self._mark = object()
        # Nothing that the threads hold leads back here, or a session that was dropped would never go.
        self._pool = ThreadPoolExecutor(
            workers, thread_name_prefix="onepass", initializer=setattr, initargs=(_thread, "works_for", self._mark)
        )
        self._most = workers + MOST_WAITING
        self._under_way: weakref.WeakSet[Work] = weakref.WeakSet()
        self._lock = threading.Lock()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is one of the workers, as in a future's callback."""
        return getattr(_thread, "works_for", None) is self._mark

    def submit(self, work: Work, function: Callable[..., Outputs], *arguments: Any) -> Future[Any] | None:
        """Run the work in the background; None where there is no room now.

        For a worker, of whichever session, there is always room: its call would never end if others waited for it.
        """
        with self._lock:
            is_worker = getattr(_thread, "works_for", None) is not None
            if not is_worker and sum(not each.ended for each in self._under_way) >= self._most:
                return None
            self._under_way.add(work)
            future = self._pool.submit(work.run, function, *arguments)
        # A call ends with its future, also where that is cancelled before it began.
        future.add_done_callback(lambda _: work.end())
        return future

    def pause(self) -> None:
        """Wait a moment for room."""
        time.sleep(_PAUSE_S)

    def shutdown(self) -> None:
        """Take no further call, and come back when all workers have ended."""
        self._pool.shutdown(wait=True)
