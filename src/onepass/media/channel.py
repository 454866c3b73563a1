"""Hand items from one thread to another, a few at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """A queue between a giver and a taker, each in a thread of its own, that either may end.

    It holds few items. When it is full the giver waits, and nothing is lost; or, with `newest`, the oldest item gives
    way, so that the taker never falls behind.
    """

    def __init__(self, capacity: int, *, newest: bool = False) -> None:
        """Make an empty channel.

        Args:
            capacity: How many items it holds, at least 1.
            newest: Whether a full channel drops its oldest item instead of making the giver wait.
        """
        self._capacity = capacity
        self._newest = newest
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Give an item; wait while the channel is full, unless it drops. False: nobody takes any more."""
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
        """Say that no more items come, and why: the taker gets the error after the last item."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify_all()

    def take(self, count: int = 1) -> list[T]:
        """Wait for that many items and take them. There are fewer after the last, and none in the end.

        Raises:
            BaseException: What the giver finished with, once every item was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._finished or len(self._items) >= count)
            if not self._items and self._error is not None:
                raise self._error
            taken = [self._items.popleft() for _ in range(min(count, len(self._items)))]
            self._changed.notify_all()
            return taken

    def stop(self) -> None:
        """Say that nothing more will be taken: the giver stops, and what is still inside is gone."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
