"""The lanes of one model, on one or several GPUs: assigned to calls, created on demand, never lost."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic

from onepass._errors import BackendError
from onepass.runtime.gpu.compute_queue import ComputeQueue, Lane, Ready

_LOOK_AGAIN_SECONDS = 0.1
_YIELD_SECONDS = 0.001
_pop = deque.pop


class Group(Generic[Ready]):
    """The lanes on one GPU.

    Attributes:
        limit: Maximum number of queues.
        queues: The existing queues.
        at_rest: Free first lanes of the queues.
        beside: Free second lanes of the queues.
        is_open: Whether the GPU gets calls. A broken GPU gets no more.
    """

    def __init__(self, make: Callable[[], ComputeQueue[Ready]], *, limit: int) -> None:
        """Create the first queue.

        Args:
            make: Creates a queue.
            limit: Maximum number of queues.
        """
        self.limit = limit
        self.queues: list[ComputeQueue[Ready]] = []
        self.at_rest: deque[Lane[Ready]] = deque()
        self.beside: deque[Lane[Ready]] = deque()
        self.is_open = True
        self._make = make
        self._making = threading.Lock()
        self._add()

    def grow(self) -> None:
        """Create another queue, unless the limit is reached or a lane has become free."""
        if len(self.queues) < self.limit:
            with self._making:
                if not self.at_rest and len(self.queues) < self.limit:
                    self._try_to_add()

    def ready(self) -> list[Ready]:
        """Return the passes that the lanes keep ready."""
        lanes = [lane for each in list(self.queues) for lane in each.lanes]
        return [ready for lane in lanes for ready in list(lane.passes.values())]

    def close(self) -> None:
        """Close all queues; no lane may be in use."""
        for each in self.queues:
            each.close()
        for pool in (self.queues, self.at_rest, self.beside):
            pool.clear()

    def _try_to_add(self) -> None:
        try:
            self._add()
        except BackendError:
            # The GPU has no memory for another queue, so the existing ones serve all calls.
            self.limit = len(self.queues)

    def _add(self) -> None:
        made = self._make()
        first, second = made.lanes
        first.home, second.home = self.at_rest, self.beside
        first.group = second.group = self
        try:
            self.queues.append(made)
        finally:
            try:
                self.beside.append(second)
            finally:
                self.at_rest.append(first)


class Lanes(Generic[Ready]):
    """Assigns a lane to every call: of an idle queue, of a new queue, or beside another call, in this order.

    A signal handler may raise between any two Python instructions. So a lane moves in a single C call, from the pool to
    the caller's list, and from there to its `Lane.home`, which the caller does itself::

        held: list[Lane] = []
        try:
            lane = lanes.take(held)
            ...
        finally:
            if held:
                held[0].home.extend(held)
                lanes.tell()

    Waiting threads check again from time to time, in case an exception prevented `tell`.

    Attributes:
        groups: The lanes of each GPU.
    """

    def __init__(self, groups: Sequence[Group[Ready]]) -> None:
        """Assign the lanes of these GPUs."""
        self.groups = tuple(groups)
        self._first = (self.groups[0].at_rest,)
        self._token: queue.SimpleQueue[None] = queue.SimpleQueue()

    def take(self, held: list[Lane[Ready]], *, of: Group[Ready] | None = None) -> Lane[Ready]:
        """Put a lane into `held` and return it; wait until one is free.

        Args:
            held: The caller's list.
            of: The GPU that the lane must be on; by default any GPU.
        """
        if of is None and self.groups[0].is_open:
            try:
                held.extend(map(_pop, self._first))
                return held[0]
            except IndexError:
                pass
        while not self._took(held, of):
            with suppress(queue.Empty):
                self._token.get(timeout=_LOOK_AGAIN_SECONDS)
                if of is not None and not (of.at_rest or of.beside):
                    # The notification was for another thread.
                    self.tell()
                    time.sleep(_YIELD_SECONDS)
        # One notification may have stood for two free lanes.
        for group in self.groups:
            if group.at_rest or group.beside:
                self.tell()
        return held[0]

    def tell(self) -> None:
        """Notify a waiting thread that a lane may be free."""
        if self._token.empty():
            self._token.put(None)

    def _took(self, held: list[Lane[Ready]], of: Group[Ready] | None) -> bool:
        # No generators here: if a signal handler raises while a generator is being closed, the exception is lost.
        groups = [each for each in self.groups if each.is_open] or self.groups if of is None else (of,)
        for each in groups:
            if _moved(each.at_rest, held):
                return True
        for each in sorted(groups, key=_size):
            each.grow()
            if _moved(each.at_rest, held):
                return True
        for each in groups:  # noqa: SIM110 - see above
            if _moved(each.beside, held):
                return True
        return False


def _size(group: Group[Any]) -> int:
    return len(group.queues)


def _moved(pool: deque[Lane[Ready]], held: list[Lane[Ready]]) -> bool:
    try:
        held.extend(map(_pop, (pool,)))
    except IndexError:
        return False
    return True
