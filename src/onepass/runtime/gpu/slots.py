"""Memory that is lent with every result, and comes back when the last array on it dies."""

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
"""For how long memory that no result needs any more is kept for the next."""
_TIDY_TURNS = 64
"""Every so many calls it is looked whether something can be given back."""
_LOOKED_AT, _TIDIED = 32, 256
"""How many of the slots that are lent a call looks at when it finds none at once, and when it is time to tidy up: so it
costs about the same however many results are kept."""
_LET_GO_BYTES = 8 << 20
"""Little more than that is given back at a time, since freeing page-locked memory takes its time."""


class HostSlot:
    """A stretch of the host's memory and the arrays on it.

    Attributes:
        address: Where it begins.
        size_bytes: How long it is.
        idle_since: When it was found to be idle, in seconds of `time.monotonic`.
    """

    def __init__(self, memory: Any, places: Sequence[Place]) -> None:
        """Lay arrays out.

        Args:
            memory: An object with an array interface that nobody else makes arrays of.
            places: Where the arrays lie.
        """
        # Every array that is handed out is a view, and NumPy lets all of them refer to this one; so its count of
        # references tells whether any is left. The arrays kept here are counted too, once and for all.
        self._root: Array = np.asarray(memory)
        self.address = int(self._root.ctypes.data)
        self.size_bytes = self._root.nbytes
        self.idle_since = 0.0
        self._arrays = {place.name: _array_at(self._root, place) for place in places}
        self._idle_count = sys.getrefcount(self._root)

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds an array on it."""
        return sys.getrefcount(self._root) == self._idle_count

    def arrays(self, names: Iterable[str]) -> list[Array]:
        """Lend arrays on the block; it is not idle until they, and all views of them, are gone."""
        kept = self._arrays
        return [kept[name].view() for name in names]

    @property
    def root(self) -> Array:
        """What NumPy calls the base of every array on it."""
        return self._root

    def holds(self, array: Array, name: str) -> bool:
        """Whether an array is the one of that name on this slot, whole."""
        mine = self._arrays.get(name)
        return (
            mine is not None
            and array.base is self._root
            and array.shape == mine.shape
            and array.dtype == mine.dtype
            and array.__array_interface__["data"] == mine.__array_interface__["data"]
        )


class DeviceSlot:
    """One block of the GPU's memory, lent with results that stay there.

    Attributes:
        address: Where it begins.
        size_bytes: How long it is.
        lease: What every result on the block refers to; it keeps the memory alive.
        idle_since: When it was found to be idle, in seconds of `time.monotonic`.
    """

    def __init__(self, block: Block) -> None:
        self.address = block.address
        self.size_bytes = block.size_bytes
        self.lease = [block]
        self.idle_since = 0.0
        self._idle_count = sys.getrefcount(self.lease)

    @property
    def is_idle(self) -> bool:
        """Whether no result on it is left."""
        return sys.getrefcount(self.lease) == self._idle_count


Slot = TypeVar("Slot", HostSlot, DeviceSlot)


class Slots(Generic[Slot]):
    """Slots for results of one shape, used again and again; those that nobody needs for a while are given back."""

    def __init__(self, make: Callable[[], Slot | None], *, limit: int | None = None) -> None:
        """Begin with none.

        Args:
            make: Makes one; None where there is no memory for more.
            limit: How many there may be.
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
        """Return an idle slot, the one that was lent last if possible; None where all are lent.

        One thread at a time takes slots, and makes more; any may let them shrink meanwhile.
        """
        self._turn += 1
        if self._turn % _TIDY_TURNS:
            # As a rule the caller still has the last result, or none; those kept for long are to be looked for.
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
        """Return a new slot; None where there may be no more."""
        slot = self._make() if self._limit is None or len(self) < self._limit else None
        if slot is not None:
            with self._lock:
                self._lend(slot)
        return slot

    def shrink(self) -> None:
        """Let go of all that nobody holds."""
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
        """Let go of some that have been idle for long, but for the one that was used last."""
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
