"""Memory that is lent with every result, and comes back when the last array on it dies."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from onepass.outputs import Array
from onepass.runtime._cuda import Block, Device
from onepass.runtime._layout import Place, size_of

_IDLE_SECONDS = 10.0
"""For how long memory that no result needs any more is kept for the next."""
_LOOKED_AT = 2
"""How many of the slots that are lent a call looks at, so that it costs the same however many results are kept."""


class HostSlot:
    """A stretch of the host's memory and the arrays on it.

    Attributes:
        address: Where it begins.
        used_at: When it was lent last, in seconds of `time.monotonic`.
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
        self.used_at = 0.0
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
        lease: What every result on the block refers to; it keeps the memory alive.
        used_at: When it was lent last, in seconds of `time.monotonic`.
    """

    def __init__(self, block: Block) -> None:
        self.address = block.address
        self.lease = [block]
        self.used_at = 0.0
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

    def take(self) -> Slot | None:
        """Return an idle slot, the one that was used last if possible, a new one if there may be one, or None."""
        self._look_at(_LOOKED_AT)
        now = time.monotonic()
        try:
            slot = self._idle.pop()
        except IndexError:
            made = self._make() if self._limit is None or len(self) < self._limit else None
            if made is None:
                return None
            slot = made
        else:
            if self._idle and now - self._idle[0].used_at > _IDLE_SECONDS:
                self._idle.popleft()
        slot.used_at = now
        self._lent.append(slot)
        return slot

    def shrink(self) -> None:
        """Let go of all that nobody holds; another thread may take one meanwhile."""
        self._look_at(len(self._lent))
        self._idle.clear()

    def __len__(self) -> int:
        return len(self._lent) + len(self._idle)

    def _look_at(self, count: int) -> None:
        try:
            for _ in range(min(count, len(self._lent))):
                slot = self._lent.popleft()
                (self._idle if slot.is_idle else self._lent).append(slot)
        except IndexError:  # another thread shrinks them
            return


def new_host_slot(device: Device, places: Sequence[Place]) -> HostSlot:
    """Return a slot in page-locked memory of the host."""
    return HostSlot(device.host_block(size_of(places)), places)


def new_device_slot(device: Device, places: Sequence[Place]) -> DeviceSlot:
    """Return a slot in the GPU's memory."""
    return DeviceSlot(device.device_block(size_of(places)))


def _array_at(root: Array, place: Place) -> Array:
    array: Array = root[place.offset : place.offset + place.size_bytes].view(place.dtype).reshape(place.shape)
    return array
