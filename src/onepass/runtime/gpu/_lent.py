"""Arrays for inputs, to be filled by the caller, in page-locked memory that the GPU reads directly."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from onepass.outputs import Array
from onepass.runtime.cuda.device import Device
from onepass.runtime.gpu.layout import arranged
from onepass.runtime.gpu.slots import HostSlot, new_host_slot

_SHAPES = 8
_EACH = 4
"""Number of shapes, and of arrays per shape, with page-locked memory."""


class LentInputs:
    """Lends page-locked arrays for all inputs of a model, and recognises them in calls.

    Attributes:
        is_used: Whether it has lent any arrays.
    """

    def __init__(self, device: Device, dtypes: Mapping[str, np.dtype[Any]]) -> None:
        """Start without arrays.

        Args:
            device: The GPU.
            dtypes: Input dtypes, by name.
        """
        self.is_used = False
        self._device = device
        self._dtypes = dict(dtypes)
        self._slots: OrderedDict[tuple[Any, ...], list[HostSlot]] = OrderedDict()
        self._by_root: dict[int, HostSlot] = {}
        self._given: dict[int, tuple[weakref.ref[Array], str, HostSlot]] = {}
        self._lock = threading.Lock()

    def give(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Array] | None:
        """Return an array for every input; None while the caller holds all arrays with these shapes."""
        key = tuple(tuple(shapes[name]) for name in self._dtypes)
        self.is_used = True
        with self._lock:
            slots = self._slots.setdefault(key, [])
            self._slots.move_to_end(key)
            slot = next((each for each in slots if each.is_idle), None)
            if slot is None:
                if len(slots) >= _EACH:
                    return None
                tensors = zip(self._dtypes.items(), key, strict=True)
                slot = new_host_slot(self._device, arranged((name, dtype, shape) for (name, dtype), shape in tensors))
                slots.append(slot)
                self._by_root[id(slot.root)] = slot
            if len(self._slots) > _SHAPES:
                for old in self._slots.popitem(last=False)[1]:
                    del self._by_root[id(old.root)]
            arrays = dict(zip(self._dtypes, slot.arrays(self._dtypes), strict=True))
            for name, array in arrays.items():
                # When the array dies, its entry is removed; `pop` takes the dead reference as its default, unused.
                self._given[id(array)] = weakref.ref(array, partial(self._given.pop, id(array))), name, slot
        return arrays

    def slot_of(self, feeds: Mapping[str, Any]) -> HostSlot | None:
        """Return the slot that contains all inputs, if they come from one call of `give`."""
        found: HostSlot | None = None
        for name, array in feeds.items():
            # An array that `give` returned is found at once; other views of the same memory are compared.
            given = self._given.get(id(array))
            if given is not None and given[0]() is array:
                slot = given[2] if given[1] == name else None
            else:
                lying = self._by_root.get(id(array.base))
                slot = lying if lying is not None and lying.holds(array, name) else None
            if slot is None or (found is not None and slot is not found):
                return None
            found = slot
        return found

    def close(self) -> None:
        """Free all arrays; arrays that the caller holds keep their memory."""
        for each in (self._slots, self._by_root, self._given):
            each.clear()
