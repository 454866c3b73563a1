"""A GPU and its memory. Only this module, `stream` and `graph` run work on CUDA; `driver` finds out what is available.

They use the driver API, not the runtime API. It requires no particular version of the CUDA runtime, and a call can
restore the thread's current context, so programs with their own contexts (with PyCUDA, for example) are not disturbed.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from onepass._errors import BackendError, DeviceError
from onepass.outputs import Array
from onepass.runtime.cuda._huge_pages import HUGE_BYTES, fresh_memory, may_be_page_locked
from onepass.runtime.cuda.driver import checked, describe, device_count, load_driver


class Device:
    """One GPU and its primary context, which lives as long as the process, as with the CUDA runtime.

    Attributes:
        index: Its number, starting from 0, among the GPUs that ``CUDA_VISIBLE_DEVICES`` allows.
        name: Its name, for example ``"NVIDIA H100 80GB HBM3"``.
        compute_capability: For example ``"9.0"``.
        driver: The binding of the CUDA driver.
        driver_version: The CUDA version that the driver supports, for example ``"13.0"``.
        capturing: Thread-local: its attribute ``now`` is true while the thread records a graph.
    """

    def __init__(self, index: int = 0) -> None:
        """Open a GPU.

        Raises:
            DeviceError: There is no driver, no GPU, or no GPU with that number.
            MissingExtraError: The Python binding for CUDA is not installed.
        """
        count = device_count()
        if not 0 <= index < count:
            raise DeviceError(f"device={index}: this process sees {count} GPU(s), numbered from 0 to {count - 1}")
        self.index = index
        self.driver = driver = load_driver()
        self._handle = self.call(driver.cuDeviceGet, index)
        self.name = self.call(driver.cuDeviceGetName, 256, self._handle).split(b"\0")[0].decode()
        attribute = driver.CUdevice_attribute
        major, minor = (
            self.call(driver.cuDeviceGetAttribute, each, self._handle)
            for each in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        self.compute_capability = f"{major}.{minor}"
        version = self.call(driver.cuDriverGetVersion)
        self.driver_version = f"{version // 1000}.{version % 1000 // 10}"
        self._context = self.call(driver.cuDevicePrimaryCtxRetain, self._handle)
        self._context_number = int(self._context)
        registers = self.call(
            driver.cuDeviceGetAttribute, attribute.CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, self._handle
        )
        self._locks_huge_pages = bool(registers) and may_be_page_locked()
        self.capturing = threading.local()
        self._to_free: deque[tuple[Callable[..., Any], Any]] = deque()

    def __repr__(self) -> str:
        return f"<GPU {self.index}: {self.name}, compute capability {self.compute_capability}>"

    # ---- the context of the calling thread ---------------------------------------------------------------------

    def enter(self) -> Any:
        """Make this GPU current on the calling thread, and return the argument for `leave`."""
        status, current = self.driver.cuCtxGetCurrent()
        if status:
            raise BackendError(f"CUDA has no context for this thread: {describe(self.driver, status)}")
        if int(current) == self._context_number:
            return None
        self.call(self.driver.cuCtxSetCurrent, self._context)
        return current

    def leave(self, previous: Any) -> None:
        """Restore the thread's previous context; a thread that had none keeps this one, at no cost."""
        if previous is not None and int(previous):
            self.call(self.driver.cuCtxSetCurrent, previous)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this GPU current on the calling thread within a block."""
        previous = self.enter()
        try:
            yield
        finally:
            self.leave(previous)

    # ---- memory ------------------------------------------------------------------------------------------------

    def device_block(self, size_bytes: int) -> Block:
        """Allocate memory on the GPU: at least one byte, so its address is never null."""
        with self.current():
            address = int(self.call(self.driver.cuMemAlloc, max(size_bytes, 1), wanted=size_bytes))
        return Block(self, self.driver.cuMemFree, address, size_bytes)

    def host_block(self, size_bytes: int) -> HostBlock:
        """Allocate page-locked host memory, which the GPU reads and writes directly."""
        if size_bytes >= HUGE_BYTES and self._locks_huge_pages:
            try:
                return self._huge_block(size_bytes)
            except BackendError:  # exhausted, or the system reports only now that it is unsupported
                self._locks_huge_pages = False
        flags = self.driver.CU_MEMHOSTALLOC_PORTABLE
        with self.current():
            address = int(self.call(self.driver.cuMemHostAlloc, max(size_bytes, 1), flags, wanted=size_bytes))
        return HostBlock(self, self.driver.cuMemFreeHost, address, size_bytes)

    def _huge_block(self, size_bytes: int) -> HostBlock:
        memory = fresh_memory(size_bytes)
        address, flags = memory.ctypes.data, self.driver.CU_MEMHOSTREGISTER_PORTABLE
        with self.current():
            self.call(self.driver.cuMemHostRegister, address, size_bytes, flags, wanted=size_bytes)
        return HostBlock(self, partial(_unlock, self.driver, memory), address, size_bytes)

    def memory_bytes(self) -> tuple[int, int]:
        """Return the free and the total GPU memory, in bytes."""
        with self.current():
            status, free, total = self.driver.cuMemGetInfo()
            checked(self.driver, "cuMemGetInfo", (status, None))
        return int(free), int(total)

    def freed_with(self, owner: object, free: Callable[..., Any], handle: Any) -> Any:
        """Free a resource when its owner dies. When the process ends, the system frees it anyway.

        Returns:
            A function that frees the resource earlier.
        """
        finalizer = weakref.finalize(owner, self.release, free, handle)
        finalizer.atexit = False
        return finalizer

    def release(self, free: Callable[..., Any], handle: Any) -> None:
        """Free memory, a stream or a graph; later if this thread is recording, because freeing breaks a recording.

        The driver's status is ignored: nobody is left to handle an error, for example at the end of the process.
        """
        self._to_free.append((free, handle))
        if getattr(self.capturing, "now", False):
            return
        previous = self.enter()
        with suppress(IndexError):  # another thread may have taken the last entry
            while True:
                function, each = self._to_free.popleft()
                function(each)
        self.leave(previous)

    def set_copy(self, graph: Any, node: Any, params: Any) -> None:
        """Change the parameters of a copy node in a graph."""
        self.call(self.driver.cuGraphExecMemcpyNodeSetParams, graph, node, params, self._context)

    # ---- calls -------------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *arguments: Any, wanted: int | None = None) -> Any:
        """Call a driver function and return its result.

        Args:
            function: The function.
            arguments: Its arguments.
            wanted: Number of bytes that it allocates, for the message if memory runs out.

        Raises:
            BackendError: It failed; the message contains its name and CUDA's description of the error.
        """
        return checked(self.driver, function.__name__, function(*arguments), wanted=wanted)


def _unlock(driver: Any, memory: Array, address: int) -> None:
    """Unlock memory; no reference to it is left afterwards."""
    driver.cuMemHostUnregister(address)
    del memory


class Block:
    """Memory on the GPU, freed when the last reference to the block is gone.

    Attributes:
        address: Start address, a multiple of 256.
        size_bytes: Size.
    """

    def __init__(self, device: Device, free: Callable[..., Any], address: int, size_bytes: int) -> None:
        self.address = address
        self.size_bytes = size_bytes
        device.freed_with(self, free, address)


class HostBlock(Block):
    """Page-locked host memory. ``np.asarray(block)`` returns an array that keeps the block alive."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"shape": (self.size_bytes,), "typestr": "|u1", "data": (self.address, False), "version": 3}
