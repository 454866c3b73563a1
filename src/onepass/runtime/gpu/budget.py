"""Limits of the memory for results: page-locked memory up to a limit, then as much reusable ordinary memory."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import BackendError
from onepass.runtime.gpu.layout import ALIGNMENT, Place, size_of
from onepass.runtime.gpu.slots import HostSlot, Slots

_SLAB_BYTES = 2 << 20
"""Small results share an allocation of up to this size; page-locking less takes just as long."""
_SHARE = 8
_MOST_BYTES = 4 << 30
"""By default, results may use one eighth of the machine's memory, at most this much."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_keep_bytes() -> int:
    """Return the default limit for results: a share of the memory that this process may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, _CGROUP_LIMITS):
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if text.isdigit():
            limits.append(int(text))
    return min(min(limits) // _SHARE, _MOST_BYTES)


@dataclass(frozen=True, slots=True)
class KeptMemory:
    """Memory for the results of one model: page-locked up to its limit, then ordinary memory."""

    page_locked: Budget
    ordinary: Budget

    @classmethod
    def of(cls, limit_bytes: int | None) -> KeptMemory:
        """Return memory with a limit for each kind, `default_keep_bytes` if it is None."""
        limit = default_keep_bytes() if limit_bytes is None else limit_bytes
        return cls(Budget(limit), Budget(limit))


class Budget:
    """A memory limit, and the current use.

    Attributes:
        limit_bytes: The limit.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._taken = 0
        self._returned: deque[int] = (
            deque()
        )  # sizes of freed blocks; blocks may be freed anywhere, even while the lock is held
        self._lock = threading.Lock()
        self._spenders: weakref.WeakSet[Slots[Any]] = weakref.WeakSet()

    @property
    def used_bytes(self) -> int:
        """The number of bytes in use."""
        return self._taken - sum(self._returned)

    def slots(self, block: Callable[[int], Any], places: Sequence[Place]) -> Slots[HostSlot]:
        """Return slots for results with a given layout, in memory that counts towards this budget.

        Args:
            block: Allocates a number of bytes; the returned object has an array interface, and frees the memory when it
                is deleted.
            places: Layout of the arrays in a slot.
        """
        slots = Slots(_SlotMaker(self, block, places))
        self._spenders.add(slots)
        return slots

    def buy(self, block: Callable[[int], Any], size_bytes: int) -> Any:
        """Return a new block, whose bytes return to the budget when it is deleted; None if the limit is reached."""
        if not self._take(size_bytes):
            for each in list(self._spenders):
                each.shrink()
            if not self._take(size_bytes):
                return None
        bought = None
        try:
            bought = block(size_bytes)
        except BackendError:  # the machine has no more, although the budget has
            return None
        finally:
            if bought is None:
                self._returned.append(size_bytes)
        weakref.finalize(bought, self._returned.append, size_bytes).atexit = False
        return bought

    def _take(self, size_bytes: int) -> bool:
        with self._lock:
            while self._returned:
                self._taken -= self._returned.popleft()
            fits = self._taken + size_bytes <= self.limit_bytes
            if fits:
                self._taken += size_bytes
            return fits


class _SlotMaker:
    """Creates slots with one layout. Small slots share a slab; each slab has twice as many slots as the one before."""

    def __init__(self, budget: Budget, block: Callable[[int], Any], places: Sequence[Place]) -> None:
        self._budget = budget
        self._block = block
        self._places = places
        self._size_bytes = max(-(-size_of(places) // ALIGNMENT), 1) * ALIGNMENT
        self._most = max(_SLAB_BYTES // self._size_bytes, 1)
        self._count = 2
        self._parts: list[_Part] = []

    def __call__(self) -> HostSlot | None:
        count = min(self._count, self._most)
        if not self._parts:
            self._buy(count)
        if not self._parts and count > 1:  # the rest may suffice for a single slot
            self._count = 1
            self._buy(1)
        return HostSlot(self._parts.pop(), self._places) if self._parts else None

    def _buy(self, count: int) -> None:
        slab_bytes = _SLAB_BYTES if count == self._most > 1 else count * self._size_bytes
        slab = self._budget.buy(self._block, slab_bytes)
        if slab is not None:
            address = int(np.asarray(slab).ctypes.data)
            self._parts = [_Part(slab, address + i * self._size_bytes, self._size_bytes) for i in range(count)]
            self._count *= 2


class _Part:
    """Part of a slab; a NumPy array created from it keeps the slab alive."""

    def __init__(self, slab: Any, address: int, size_bytes: int) -> None:
        self._slab = slab
        self.__array_interface__ = {
            "shape": (size_bytes,), "typestr": "|u1", "data": (address, False), "version": 3,
        }  # fmt: skip


class HostMemory:
    """Ordinary host memory, aligned like results."""

    def __init__(self, size_bytes: int) -> None:
        self._memory = np.empty(size_bytes + ALIGNMENT, np.uint8)
        first = -self._memory.ctypes.data % ALIGNMENT
        self.__array_interface__ = self._memory[first : first + size_bytes].__array_interface__
