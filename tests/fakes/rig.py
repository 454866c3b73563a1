"""A fake GPU that is ready for use, and short ways to use it, for the tests of the fakes."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tests.fakes.cuda import FakeCuda

NON_BLOCKING = 1
SIZE = 64
"""How many bytes `Rig.device` and `Rig.pinned` allocate."""


class Rig:
    """A fake GPU with its context current, and short ways to do things on it."""

    def __init__(self, **options: Any) -> None:
        self.cuda = FakeCuda(**{"lazy": True, **options})
        self.driver: Any = self.cuda.module()
        self.do("cuInit", 0)
        self.do("cuCtxSetCurrent", self.do("cuDevicePrimaryCtxRetain", 0))

    def status(self, name: str, *arguments: Any) -> str:
        """Call a function; return the name of its status."""
        return str(getattr(self.driver, name)(*arguments)[0].name)

    def do(self, name: str, *arguments: Any) -> Any:
        """Call a function that must succeed; return what it gives."""
        status, *values = getattr(self.driver, name)(*arguments)
        assert not status, (name, status)
        return values[0] if len(values) == 1 else values

    def stream(self) -> Any:
        """Make a stream that does not wait for the default one."""
        return self.do("cuStreamCreate", NON_BLOCKING)

    def device(self) -> int:
        """Allocate on the GPU."""
        return int(self.do("cuMemAlloc", SIZE))

    def pinned(self) -> int:
        """Allocate page-locked memory."""
        return int(self.do("cuMemHostAlloc", SIZE, 0))

    def registered(self) -> int:
        """Page-lock ordinary memory."""
        self.ordinary = np.zeros(SIZE, np.uint8)
        self.do("cuMemHostRegister", self.ordinary.ctypes.data, SIZE, 1)
        return int(self.ordinary.ctypes.data)

    def begin(self, stream: Any, mode: str = "THREAD_LOCAL") -> None:
        """Begin a capture."""
        modes = self.driver.CUstreamCaptureMode
        self.do("cuStreamBeginCapture", stream, modes[f"CU_STREAM_CAPTURE_MODE_{mode}"])


def bytes_at(address: int, size: int = SIZE) -> np.ndarray[Any, Any]:
    """Return a view of memory."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
