"""Memory that is lent with every result, and comes back when the last array on it dies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

from onepass.outputs import Array
from onepass.runtime._cuda import Block, Device, HostBlock
from onepass.runtime._layout import Place, size_of


class HostSlot:
    """One page-locked block and the arrays on it.

    Attributes:
        address: Where it begins.
    """

    def __init__(self, block: HostBlock, places: Sequence[Place]) -> None:
        self.address = block.address
        # Every array that is handed out is a view, and NumPy lets all of them refer to this one; so its count of
        # references tells whether any is left. The arrays kept here are counted too, once and for all.
        self._root: Array = np.asarray(block)
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

    def holds(self, array: Array, name: str) -> bool:
        """Whether an array is the one of that name on this block, whole."""
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
    """

    def __init__(self, block: Block) -> None:
        self.address = block.address
        self.lease = [block]
        self._idle_count = sys.getrefcount(self.lease)

    @property
    def is_idle(self) -> bool:
        """Whether no result on it is left."""
        return sys.getrefcount(self.lease) == self._idle_count


Slot = TypeVar("Slot", HostSlot, DeviceSlot)


class Slots(Generic[Slot]):
    """A few slots that serve in turn. Whoever keeps many results never makes it more than `limit`."""

    def __init__(self, make: Callable[[], Slot], *, limit: int) -> None:
        self._make: Callable[[], Slot] = make
        self._limit = limit
        self._slots: list[Slot] = []

    def take(self) -> Slot | None:
        """Return an idle slot, a new one if there is room for it, or None."""
        for slot in self._slots:
            if slot.is_idle:
                return slot
        if len(self._slots) >= self._limit:
            return None
        self._slots.append(self._make())
        return self._slots[-1]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)


def new_host_slot(device: Device, places: Sequence[Place]) -> HostSlot:
    """Return a slot in page-locked memory of the host."""
    return HostSlot(device.host_block(size_of(places)), places)


def new_device_slot(device: Device, places: Sequence[Place]) -> DeviceSlot:
    """Return a slot in the GPU's memory."""
    return DeviceSlot(device.device_block(size_of(places)))


def _array_at(root: Array, place: Place) -> Array:
    array: Array = root[place.offset : place.offset + place.size_bytes].view(place.dtype).reshape(place.shape)
    return array
