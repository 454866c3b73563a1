"""The lanes of one model: given out to calls, made as they are needed, never lost."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic

from onepass._errors import BackendError
from onepass.runtime._queue import ComputeQueue, Lane, Ready

_LOOK_AGAIN_SECONDS = 0.1
_pop = deque.pop


class Lanes(Generic[Ready]):
    """Gives every call a lane: of a queue at rest, of a new one, or beside another call, in this order.

    An exception that a signal handler raises may come between any two steps of Python. So a lane changes hands in one
    call of C, from the pool into the caller's list and from that into its `Lane.home`, which the caller does itself::

        held: list[Lane] = []
        try:
            lane = lanes.take(held)
            ...
        finally:
            if held:
                held[0].home.extend(held)
                lanes.tell()

    Whoever waits looks again from time to time, in case that such an exception came before `tell`.

    Attributes:
        limit: How many queues there may be.
        queues: Those that there are.
    """

    def __init__(self, make: Callable[[], ComputeQueue[Ready]], *, limit: int) -> None:
        """Make the first queue.

        Args:
            make: Makes one.
            limit: How many there may be.
        """
        self.limit = limit
        self._make = make
        self._making = threading.Lock()
        self.queues: list[ComputeQueue[Ready]] = []
        self._at_rest: deque[Lane[Ready]] = deque()
        self._beside: deque[Lane[Ready]] = deque()
        self._token: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._add()

    def take(self, held: list[Lane[Ready]]) -> Lane[Ready]:
        """Put a lane into `held`, and return it; wait for one if need be."""
        try:
            held.extend(map(_pop, (self._at_rest,)))
        except IndexError:
            while not self._take_other(held):
                try:
                    self._token.get(timeout=_LOOK_AGAIN_SECONDS)
                except queue.Empty:
                    continue
            # Who waited may have taken the word for two.
            if self._at_rest or self._beside:
                self.tell()
        return held[0]

    def tell(self) -> None:
        """Tell whoever waits that there may be a lane."""
        if self._token.empty():
            self._token.put(None)

    def ready(self) -> list[Ready]:
        """Return what the lanes keep ready."""
        lanes = [lane for each in list(self.queues) for lane in each.lanes]
        return [ready for lane in lanes for ready in list(lane.passes.values())]

    def close(self) -> None:
        """Close all; none is taken."""
        for each in self.queues:
            each.close()
        for pool in (self.queues, self._at_rest, self._beside):
            pool.clear()

    def _take_other(self, held: list[Lane[Ready]]) -> bool:
        if len(self.queues) < self.limit:
            with self._making:
                if not self._at_rest and len(self.queues) < self.limit:
                    self._try_to_add()
        return self._taken(self._at_rest, held) or self._taken(self._beside, held)

    @staticmethod
    def _taken(pool: deque[Lane[Ready]], held: list[Lane[Ready]]) -> bool:
        try:
            held.extend(map(_pop, (pool,)))
        except IndexError:
            return False
        return True

    def _try_to_add(self) -> None:
        try:
            self._add()
        except BackendError:
            # The GPU has no memory for another; those that are there serve all.
            self.limit = len(self.queues)

    def _add(self) -> None:
        made = self._make()
        first, second = made.lanes
        first.home, second.home = self._at_rest, self._beside
        try:
            self.queues.append(made)
        finally:
            try:
                self._beside.append(second)
            finally:
                self._at_rest.append(first)
