"""The memory of fake GPUs: host memory at real addresses, so that NumPy can look, with a ledger of who owns what."""

from __future__ import annotations

import bisect
import ctypes
from collections import deque
from dataclasses import dataclass
from typing import Any

_FRESH = 0xCD
_FREED = 0xDD
_ALIGNMENT = {"device": 512, "pinned": 4096}
_GRAVEYARD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of memory: where it starts, how long it is."""

    start: int
    size: int

    def overlaps(self, other: Span) -> bool:
        """Whether they share a byte."""
        return self.start < other.start + other.size and other.start < self.start + self.size


@dataclass(frozen=True, slots=True)
class Allocation:
    """One block: ``device`` memory of a GPU, or ``pinned`` memory of the host; without a buffer, somebody else's."""

    kind: str
    address: int
    size: int
    device: int
    buffer: Any

    def holds(self, span: Span) -> bool:
        """Whether the span lies in it entirely."""
        return self.address <= span.start and span.start + span.size <= self.address + self.size


class Memory:
    """All blocks that are allocated. Fresh ones hold rubbish; freed ones are overwritten and kept out of use a while.

    Rubbish (0xCD) shows code that reads what nobody wrote. Freed blocks (0xDD) go to a graveyard rather than back to
    the system, so that a view that outlived its block reads rubbish too, and a test can say so, instead of crashing.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, Allocation] = {}
        self._starts: list[int] = []
        self._graveyard: deque[Allocation] = deque()
        self._buried = 0

    def allocate(self, kind: str, size: int, device: int) -> Allocation:
        """Return a new block of at least one byte, aligned as CUDA aligns it."""
        alignment = _ALIGNMENT[kind]
        buffer = ctypes.create_string_buffer(size + alignment)
        address = -(-ctypes.addressof(buffer) // alignment) * alignment
        ctypes.memset(address, _FRESH, size)
        block = Allocation(kind, address, size, device, buffer)
        self._blocks[address] = block
        bisect.insort(self._starts, address)
        return block

    def register(self, address: int, size: int, device: int) -> None:
        """Take somebody's memory as a block, as it is."""
        self._blocks[address] = Allocation("pinned", address, size, device, None)
        bisect.insort(self._starts, address)

    def free(self, block: Allocation) -> None:
        """Take a block out of use."""
        del self._blocks[block.address]
        self._starts.remove(block.address)
        if block.buffer is None:  # whoever it belongs to may need it still
            return
        ctypes.memset(block.address, _FREED, block.size)
        self._graveyard.append(block)
        self._buried += block.size
        while self._buried > _GRAVEYARD_BYTES and len(self._graveyard) > 1:
            self._buried -= self._graveyard.popleft().size

    def at(self, address: int) -> Allocation | None:
        """Return the live block that begins there."""
        return self._blocks.get(address)

    def around(self, address: int) -> Allocation | None:
        """Return the live block that the address lies in."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        block = self._blocks[self._starts[index]]
        return block if address < block.address + block.size else None

    def was_freed(self, address: int) -> bool:
        """Whether the address lies in a block that was freed not long ago."""
        return any(block.address <= address < block.address + block.size for block in self._graveyard)

    def blocks(self, kind: str, device: int | None = None) -> list[Allocation]:
        """Return the live blocks of a kind, of one GPU or of all."""
        return [block for block in self._blocks.values() if block.kind == kind and device in (None, block.device)]
