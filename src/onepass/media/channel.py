"""A small queue between two threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """A queue between a producer and a consumer thread; either may end it.

    The queue holds few items. When it is full, the producer waits, and nothing is lost; or, with `newest`, the oldest
    item is dropped, so that the consumer never falls behind.
    """

    def __init__(self, capacity: int, *, newest: bool = False) -> None:
        """Create an empty channel.

        Args:
            capacity: Maximum number of items, ≥ 1.
            newest: Whether a full channel drops its oldest item instead of making the producer wait.
        """
        self._capacity = capacity
        self._newest = newest
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Add an item; wait while the channel is full, unless `newest`. Return False if the consumer has stopped."""
        with self._changed:
            if self._newest:
                while len(self._items) >= self._capacity:
                    self._items.popleft()
            else:
                self._changed.wait_for(lambda: self._stopped or len(self._items) < self._capacity)
            if self._stopped:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self, error: BaseException | None = None) -> None:
        """End the items; the consumer gets the error, if any, after the last item."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify_all()

    def take(self, count: int = 1) -> list[T]:
        """Wait for `count` items and take them. At the end there are fewer, then none.

        Raises:
            BaseException: The producer's error, once every item is taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._finished or len(self._items) >= count)
            if not self._items and self._error is not None:
                raise self._error
            taken = [self._items.popleft() for _ in range(min(count, len(self._items)))]
            self._changed.notify_all()
            return taken

    def stop(self) -> None:
        """Stop consuming: the producer ends, and remaining items are dropped."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
