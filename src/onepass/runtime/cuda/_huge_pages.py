"""Fresh host memory in huge pages, which is allocated and page-locked in a fraction of the usual time."""

from __future__ import annotations

import mmap
import os
import re
import sys
from contextlib import suppress

import numpy as np

from onepass._errors import BackendError
from onepass.outputs import Array
from onepass.runtime.cuda.copying import Copying

HUGE_BYTES = 2 << 20


def fresh_memory(size_bytes: int) -> Array:
    """Return fresh memory; the system has already allocated all its pages.

    Raises:
        BackendError: The machine does not have enough memory.
    """
    try:
        whole = mmap.mmap(-1, size_bytes + HUGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise BackendError(f"not enough memory for {size_bytes:,} bytes: {error}") from error
    memory: Array = np.frombuffer(whole, np.uint8)
    first = -memory.ctypes.data % HUGE_BYTES
    with suppress(OSError):  # the system does not support huge pages
        whole.madvise(mmap.MADV_HUGEPAGE, first, size_bytes // HUGE_BYTES * HUGE_BYTES)
    memory = memory[first : first + size_bytes]
    Copying().touch(memory)
    return memory


def may_be_page_locked() -> bool:
    """Whether this kind of memory can be page-locked safely on this system.

    After a fork, parent and child share private pages until one of them writes. Before version 5.9, Linux ignored that
    a device writes to such pages: the parent could get copies of them, and would never see results again.
    """
    if sys.platform != "linux":
        return False
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return version is not None and (int(version[1]), int(version[2])) >= (5, 9)
