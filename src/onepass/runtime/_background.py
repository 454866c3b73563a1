"""Calls in the background: so many at once as the backend runs side by side, and a bounded number that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

MOST_WAITING = 32
"""How many submitted calls may wait for a worker; each holds a copy of its inputs."""

# Of a thread: whether it is a worker, of whichever session.
_thread = threading.local()


class Background:
    """Worker threads, started as they are needed."""

    def __init__(self, workers: int) -> None:
        """Prepare the workers.

        Args:
            workers: How many calls run at once.
        """
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="onepass", initializer=self._mark)
        self._room = threading.BoundedSemaphore(workers + MOST_WAITING)

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is one of the workers, as in a future's callback."""
        return getattr(_thread, "works_for", None) is self

    def wait_for_room(self) -> Callable[[], None]:
        """Wait until one more call may be submitted, and return what gives its place back when it has ended.

        A worker does not wait, whichever session it is of: its call would never end if others wait for it.
        """
        if getattr(_thread, "works_for", None) is not None:
            return lambda: None
        self._room.acquire()
        return self._room.release

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Run a function in the background."""
        return self._pool.submit(function, *arguments)

    def shutdown(self, *, wait: bool) -> None:
        """Take no further call; the workers end when they are through with those they have.

        Args:
            wait: Come back when all workers have ended.
        """
        self._pool.shutdown(wait=wait)

    def _mark(self) -> None:
        _thread.works_for = self
