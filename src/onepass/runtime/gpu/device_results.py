"""Results that stay on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu.layout import Place
from onepass.runtime.gpu.setup import Setup
from onepass.runtime.gpu.slots import DeviceSlot


def lent_results(slot: DeviceSlot, places: Sequence[Place], device: Device) -> dict[str, DeviceArray]:
    """Return the arrays in a slot, by name; the slot is idle only when all of them are gone."""
    return {
        place.name: DeviceArray(
            slot.address + place.offset, shape=place.shape, dtype=place.dtype, device=device.index, owner=slot.lease
        )
        for place in places
    }


def late_results(setup: Setup, names: Sequence[str], stream: Stream, device: Device) -> dict[str, DeviceArray]:
    """Wait for the stream, and return copies of the outputs with data-dependent sizes, by name."""
    late = [name for name in names if name in setup.late]
    if not late:
        return {}
    stream.synchronize()
    results = {}
    for name in late:
        address, shape = setup.late[name]()
        results[name] = copied_result(address, shape, setup.outputs[name].carrier, stream, device)
    stream.synchronize()
    return results


def copied_result(
    address: int, shape: tuple[int, ...], dtype: np.dtype[Any], stream: Stream, device: Device
) -> DeviceArray:
    """Return a new array to which another is copied; it is complete when the stream is done."""
    block = device.device_block(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    stream.copy(block.address, address, block.size_bytes)
    return DeviceArray(block.address, shape=shape, dtype=dtype, device=device.index, owner=block)
