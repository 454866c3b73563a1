"""Memory for results, which is reused when the last array in it is gone."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from onepass.outputs import Array
from onepass.runtime.cuda.device import Block, Device
from onepass.runtime.gpu.layout import Place, size_of

_IDLE_SECONDS = 10.0
"""How long unused memory is kept for later results."""
_TIDY_TURNS = 64
"""Number of calls between two checks for memory that can be freed."""
_LOOKED_AT, _TIDIED = 32, 256
"""Number of lent slots that a call examines when it finds none at once, and when it tidies up: so the cost hardly
depends on the number of results that are kept."""
_LET_GO_BYTES = 8 << 20
"""Approximate limit of memory freed at a time, because freeing page-locked memory is slow."""


class HostSlot:
    """A range of host memory and the arrays in it.

    Attributes:
        address: Start address.
        size_bytes: Size.
        idle_since: When the slot was found to be idle, in seconds of `time.monotonic`.
    """

    def __init__(self, memory: Any, places: Sequence[Place]) -> None:
        """Create the arrays.

        Args:
            memory: An object with an array interface that is used for nothing else.
            places: Layout of the arrays.
        """
        # Every returned array is a view whose base is this array, so its reference count tells whether any view is
        # left. The arrays kept here are included in the idle count.
        self._root: Array = np.asarray(memory)
        self.address = int(self._root.ctypes.data)
        self.size_bytes = self._root.nbytes
        self.idle_since = 0.0
        self._arrays = {place.name: _array_at(self._root, place) for place in places}
        self._idle_count = sys.getrefcount(self._root)

    @property
    def is_idle(self) -> bool:
        """Whether no array in the slot is referenced."""
        return sys.getrefcount(self._root) == self._idle_count

    def arrays(self, names: Iterable[str]) -> list[Array]:
        """Return arrays in the slot; the slot is idle only when they and all their views are gone."""
        kept = self._arrays
        return [kept[name].view() for name in names]

    @property
    def root(self) -> Array:
        """The NumPy base of every array in the slot."""
        return self._root

    def holds(self, array: Array, name: str) -> bool:
        """Whether an array is the complete array with this name in this slot."""
        mine = self._arrays.get(name)
        return (
            mine is not None
            and array.base is self._root
            and array.shape == mine.shape
            and array.dtype == mine.dtype
            and array.__array_interface__["data"] == mine.__array_interface__["data"]
        )


class DeviceSlot:
    """One block of GPU memory for results that stay on the GPU.

    Attributes:
        address: Start address.
        size_bytes: Size.
        lease: Referenced by every result in the block; it keeps the memory alive.
        idle_since: When the slot was found to be idle, in seconds of `time.monotonic`.
    """

    def __init__(self, block: Block) -> None:
        self.address = block.address
        self.size_bytes = block.size_bytes
        self.lease = [block]
        self.idle_since = 0.0
        self._idle_count = sys.getrefcount(self.lease)

    @property
    def is_idle(self) -> bool:
        """Whether no result in the slot is left."""
        return sys.getrefcount(self.lease) == self._idle_count


Slot = TypeVar("Slot", HostSlot, DeviceSlot)


class Slots(Generic[Slot]):
    """Reusable slots for results of one shape; slots that are unused for a while are freed."""

    def __init__(self, make: Callable[[], Slot | None], *, limit: int | None = None) -> None:
        """Start without slots.

        Args:
            make: Creates a slot; returns None if there is no more memory.
            limit: Maximum number of slots.
        """
        self._make: Callable[[], Slot | None] = make
        self._limit = limit
        self._lent: deque[Slot] = deque()
        self._idle: deque[Slot] = deque()
        self._last: Slot | None = None
        self._before: Slot | None = None
        self._turn = 0
        self._lock = threading.Lock()

    def take(self) -> Slot | None:
        """Return an idle slot, preferably the most recently used one; None if none is idle.

        Only one thread at a time may take or create slots; any thread may call `shrink` concurrently.
        """
        self._turn += 1
        if self._turn % _TIDY_TURNS:
            # Usually the caller still holds the last result, or none, so these two are checked first.
            last, before = self._last, self._before
            if last is not None and last.is_idle:
                return last
            if before is not None and before.is_idle:
                self._last, self._before = before, last
                return before
        with self._lock:
            slot = self._found()
            if slot is not None:
                self._lend(slot)
            return slot

    def more(self) -> Slot | None:
        """Return a new slot, or None if there can be no more."""
        slot = self._make() if self._limit is None or len(self) < self._limit else None
        if slot is not None:
            with self._lock:
                self._lend(slot)
        return slot

    def shrink(self) -> None:
        """Free all idle slots."""
        with self._lock:
            self._look_at(len(self._lent))
            self._idle.clear()

    def __len__(self) -> int:
        return len(self._lent) + len(self._idle)

    def _found(self) -> Slot | None:
        idle = self._idle
        if self._turn % _TIDY_TURNS:
            self._look_at(_LOOKED_AT)
        else:
            self._look_at(_TIDIED)
            self._let_go(_TIDIED)
        return idle.pop() if idle else None

    def _lend(self, slot: Slot) -> None:
        self._lent.append(slot)
        self._last, self._before = slot, self._last

    def _look_at(self, count: int) -> None:
        now = time.monotonic()
        for _ in range(min(count, len(self._lent))):
            slot = self._lent.popleft()
            if not slot.is_idle:
                self._lent.append(slot)
                continue
            slot.idle_since = now
            self._idle.append(slot)
            if slot is self._last:
                self._last = None
            elif slot is self._before:
                self._before = None

    def _let_go(self, count: int) -> None:
        """Free some slots that have been idle for long, except the most recently used one."""
        idle, now, freed_bytes = self._idle, time.monotonic(), 0
        while len(idle) > 1 and count and freed_bytes < _LET_GO_BYTES and now - idle[0].idle_since > _IDLE_SECONDS:
            freed_bytes += idle.popleft().size_bytes
            count -= 1


def new_host_slot(device: Device, places: Sequence[Place]) -> HostSlot:
    """Return a slot in page-locked memory of the host."""
    return HostSlot(device.host_block(size_of(places)), places)


def new_device_slot(device: Device, places: Sequence[Place]) -> DeviceSlot:
    """Return a slot in the GPU's memory."""
    return DeviceSlot(device.device_block(size_of(places)))


def _array_at(root: Array, place: Place) -> Array:
    array: Array = root[place.offset : place.offset + place.size_bytes].view(place.dtype).reshape(place.shape)
    return array
