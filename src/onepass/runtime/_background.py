"""Calls in the background: so many at once as the backend runs side by side, and a bounded number that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

MOST_WAITING = 32
"""How many submitted calls may wait for a worker; each holds a copy of its inputs."""


class Background:
    """Worker threads, started as they are needed."""

    def __init__(self, workers: int) -> None:
        """Prepare the workers.

        Args:
            workers: How many calls run at once.
        """
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="onepass", initializer=self._mark)
        self._room = threading.BoundedSemaphore(workers + MOST_WAITING)
        self._here = threading.local()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is one of the workers, as in a future's callback."""
        return getattr(self._here, "is_worker", False)

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Run a function in the background; while too many calls wait, this waits too.

        A worker does not wait: it would wait for itself.
        """
        if self.is_here:
            return self._pool.submit(function, *arguments)
        self._room.acquire()
        try:
            future = self._pool.submit(function, *arguments)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    def shutdown(self, *, wait: bool) -> None:
        """Take no further call; the workers end when they are through with those they have.

        Args:
            wait: Come back when all workers have ended.
        """
        self._pool.shutdown(wait=wait)

    def _mark(self) -> None:
        self._here.is_worker = True
