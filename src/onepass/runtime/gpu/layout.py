"""Layout of tensors in a block of memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]

ALIGNMENT = 256
"""Alignment in bytes that TensorRT requires for tensor addresses."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one tensor in a block.

    Attributes:
        name: Name in the model.
        dtype: Dtype in the engine.
        shape: Shape in this pass.
        offset: Bytes from the start of the block; a multiple of `ALIGNMENT`.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def arranged(tensors: Iterable[tuple[str, np.dtype[Any], tuple[int, ...]]]) -> tuple[Place, ...]:
    """Place tensors one after the other, aligned; each has a unique address, even an empty one."""
    places: list[Place] = []
    offset = 0
    for name, dtype, shape in tensors:
        place = Place(name, dtype, shape, offset)
        places.append(place)
        offset += max(-(-place.size_bytes // ALIGNMENT), 1) * ALIGNMENT
    return tuple(places)


def size_of(places: Sequence[Place]) -> int:
    """Return the total size of the tensors, up to the end of the last one."""
    return places[-1].offset + places[-1].size_bytes if places else 0


def spans(places: Sequence[Place], names: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Return the (offset, bytes) ranges to copy for some of the tensors; neighbours are merged."""
    wanted = set(names)
    merged: list[tuple[int, int]] = []
    neighbour = False
    for place in places:
        if place.name not in wanted:
            neighbour = False
            continue
        if neighbour:
            offset, _ = merged.pop()
            merged.append((offset, place.offset + place.size_bytes - offset))
        else:
            merged.append((place.offset, place.size_bytes))
        neighbour = True
    return tuple((offset, size) for offset, size in merged if size)
