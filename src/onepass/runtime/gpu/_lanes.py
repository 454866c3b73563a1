"""The lanes of one model, on one GPU or several: given out to calls, made as they are needed, never lost."""

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
        limit: How many queues there may be.
        queues: Those that there are.
        at_rest: Lanes that are free, of queues whose other lane may have work.
        beside: The other lanes that are free.
        is_open: Whether calls go there. A GPU that broke down gets no more.
    """

    def __init__(self, make: Callable[[], ComputeQueue[Ready]], *, limit: int) -> None:
        """Make the first queue.

        Args:
            make: Makes one.
            limit: How many there may be.
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
        """Make another queue, unless there are as many as there may be, or a lane has become free."""
        if len(self.queues) < self.limit:
            with self._making:
                if not self.at_rest and len(self.queues) < self.limit:
                    self._try_to_add()

    def ready(self) -> list[Ready]:
        """Return what the lanes keep ready."""
        lanes = [lane for each in list(self.queues) for lane in each.lanes]
        return [ready for lane in lanes for ready in list(lane.passes.values())]

    def close(self) -> None:
        """Close all; none is taken."""
        for each in self.queues:
            each.close()
        for pool in (self.queues, self.at_rest, self.beside):
            pool.clear()

    def _try_to_add(self) -> None:
        try:
            self._add()
        except BackendError:
            # The GPU has no memory for another; those that are there serve all.
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
        groups: The lanes of each GPU.
    """

    def __init__(self, groups: Sequence[Group[Ready]]) -> None:
        """Give out the lanes of these GPUs."""
        self.groups = tuple(groups)
        self._first = (self.groups[0].at_rest,)
        self._token: queue.SimpleQueue[None] = queue.SimpleQueue()

    def take(self, held: list[Lane[Ready]], *, of: Group[Ready] | None = None) -> Lane[Ready]:
        """Put a lane into `held`, and return it; wait for one if need be.

        Args:
            held: Where to put it.
            of: The GPU that it has to be on; any by default.
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
                    # The word was for somebody else.
                    self.tell()
                    time.sleep(_YIELD_SECONDS)
        # Who waited may have taken the word for two.
        for group in self.groups:
            if group.at_rest or group.beside:
                self.tell()
        return held[0]

    def tell(self) -> None:
        """Tell whoever waits that there may be a lane."""
        if self._token.empty():
            self._token.put(None)

    def _took(self, held: list[Lane[Ready]], of: Group[Ready] | None) -> bool:
        # No generators here: an exception from a signal handler that comes while one is closed would be lost.
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
