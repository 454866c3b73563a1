"""A stand-in for ``cuda.bindings.runtime`` (cuda-bindings 12 and 13): the same names, handles and return tuples.

Device memory is host memory at real addresses. Work on a stream is done at once, or, with ``lazy=True``, only when
somebody waits for it, which finds missing synchronisation: a result that was not waited for is still rubbish. What
CUDA would refuse is refused with CUDA's error; what it would let pass and spoil is noted in `FakeCuda.faults`.

Example::

    cuda = FakeCuda(lazy=True)
    with installed(cuda=cuda):                       # tests.fakes.install
        from cuda.bindings import runtime
        error, address = runtime.cudaMalloc(1024)
    assert cuda.calls["cudaMalloc"] == 1 and cuda.live["device memory"] == 1
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from tests.fakes._driver import Failure, function
from tests.fakes._graphs import Graphs
from tests.fakes._memory import Allocation, Span
from tests.fakes._queue import Op, Stream, copy_op

# Names of functions, parameters and attributes are CUDA's own; what they do is in NVIDIA's reference.
# ruff: noqa: N802, N803, N815, D102

_NON_BLOCKING = 1
_MESSAGES = {
    "cudaSuccess": "no error",
    "cudaErrorInvalidValue": "invalid argument",
    "cudaErrorMemoryAllocation": "out of memory",
    "cudaErrorInsufficientDriver": "CUDA driver version is insufficient for CUDA runtime version",
    "cudaErrorNoDevice": "no CUDA-capable device is detected",
    "cudaErrorInvalidDevice": "invalid device ordinal",
    "cudaErrorInvalidResourceHandle": "invalid resource handle",
    "cudaErrorIllegalAddress": "an illegal memory access was encountered",
    "cudaErrorNotReady": "device not ready",
    "cudaErrorStreamCaptureUnsupported": "operation not permitted when stream is capturing",
    "cudaErrorStreamCaptureInvalidated": "operation failed due to a previous error during capture",
    "cudaErrorLaunchFailure": "unspecified launch failure",
}


class cudaDeviceProp:  # noqa: N801
    """Properties of a fake GPU: those that are read; another one raises NotImplementedError."""

    def __init__(self, capability: tuple[int, int], total: int) -> None:
        self.name = b"Fake GPU"
        self.major, self.minor = capability
        self.totalGlobalMem = total
        self.multiProcessorCount = 132
        self.integrated = 0
        self.canMapHostMemory = 1
        self.unifiedAddressing = 1
        self.pciBusID, self.pciDeviceID, self.pciDomainID = 1, 0, 0

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"the fake CUDA has no cudaDeviceProp.{name}")


class cudaPointerAttributes:  # noqa: N801
    """What CUDA knows of an address."""

    def __init__(self, kind: Any, device: int, device_pointer: int, host_pointer: int) -> None:
        self.type, self.device, self.devicePointer, self.hostPointer = kind, device, device_pointer, host_pointer


class FakeCuda(Graphs):
    """Fake GPUs, and the functions that drive them; see `Driver` for what a test can look at.

    Attributes:
        capability: Compute capability of every GPU.
        capacity: Memory of every GPU, in bytes.
        out_of_memory_after: How many bytes of device memory can be had, if fewer than `capacity`.
    """

    def __init__(
        self,
        *,
        devices: int = 1,
        lazy: bool = False,
        driver_missing: bool = False,
        capability: tuple[int, int] = (9, 0),
        version: str = "13.5.0",
    ) -> None:
        """Make fake GPUs.

        Args:
            devices: How many; with 0 every function says cudaErrorNoDevice.
            lazy: Do queued work only when it is waited for.
            driver_missing: Every function says cudaErrorInsufficientDriver, as without an NVIDIA driver.
            capability: Compute capability.
            version: Which cuda-bindings to be, out of `facts.CUDA`.
        """
        super().__init__(version=version, devices=devices, lazy=lazy, driver_missing=driver_missing)
        self.capability = capability

    def module(self) -> ModuleType:
        """Return the module that code imports: exactly what the fake can do, under the real names."""
        module = ModuleType("cuda.bindings.runtime", "A stand-in for tests.")
        names = [name for name in dir(type(self)) if getattr(getattr(type(self), name), "is_function", False)]
        members: dict[str, Any] = {name: getattr(self, name) for name in names}
        members |= self.enums | self.classes | self.facts["constants"]
        members |= {"cudaDeviceProp": cudaDeviceProp, "cudaPointerAttributes": cudaPointerAttributes}
        module.__dict__.update(members)
        return module

    # Devices.

    @function(results=1)
    def cudaGetDeviceCount(self) -> int:
        return self.devices

    @function()
    def cudaSetDevice(self, device: int) -> None:
        self._check_device(device)
        self.set_current(device)

    @function(results=1)
    def cudaGetDevice(self) -> int:
        return self.current

    @function(results=1)
    def cudaDeviceGetAttribute(self, attr: Any, device: int) -> int:
        self._check_device(device)
        name = self.enums["cudaDeviceAttr"](attr.value).name.removeprefix("cudaDevAttr")
        values = {
            "ComputeCapabilityMajor": self.capability[0], "ComputeCapabilityMinor": self.capability[1], "Integrated": 0,
            "UnifiedAddressing": 1, "CanMapHostMemory": 1, "MultiProcessorCount": 132, "MemoryPoolsSupported": 1,
            "PciBusId": 1, "PciDeviceId": 0, "PciDomainId": 0, "AsyncEngineCount": 3,
        }  # fmt: skip
        if name not in values:
            raise NotImplementedError(f"the fake CUDA has no cudaDevAttr{name}")
        return values[name]

    @function(results=1)
    def cudaGetDeviceProperties(self, device: int) -> cudaDeviceProp:
        self._check_device(device)
        return cudaDeviceProp(self.capability, self.capacity)

    @function(results=1, driverless=True)
    def cudaDriverGetVersion(self) -> int:
        return 0 if self.driver_missing else 13000

    @function(results=1, driverless=True)
    def cudaRuntimeGetVersion(self) -> int:
        major, minor = self.version.split(".")[:2]
        return int(major) * 1000 + int(minor) * 10

    @function(unsafe=True)
    def cudaDeviceSynchronize(self) -> None:
        for stream in self.streams():
            if stream.device == self.current:
                self.drain(stream)
        self.raise_sticky()

    # Memory.

    @function(results=1, unsafe=True)
    def cudaMalloc(self, size: int) -> int:
        return self._allocate(size)

    @function(unsafe=True)
    def cudaFree(self, devPtr: Any) -> None:
        self._free(self.pointer(devPtr), "device")

    @function(results=1)
    def cudaMallocAsync(self, size: int, hStream: Any) -> int:
        self._outside_capture(self.work_stream(hStream))
        return self._allocate(size)

    @function()
    def cudaFreeAsync(self, devPtr: Any, hStream: Any) -> None:
        stream = self.work_stream(hStream)
        self._outside_capture(stream)
        block = self._block(self.pointer(devPtr), "device")
        self.enqueue(stream, Op("cudaGraphNodeTypeMemFree", lambda: self.memory.free(block), writes=(_whole(block),)))

    @function(results=1, unsafe=True)
    def cudaHostAlloc(self, size: int, flags: int) -> int:
        return self.memory.allocate("pinned", size, self.current).address if size else 0

    @function(results=1, unsafe=True)
    def cudaMallocHost(self, size: int) -> int:
        return self.memory.allocate("pinned", size, self.current).address if size else 0

    @function(unsafe=True)
    def cudaFreeHost(self, ptr: Any) -> None:
        self._free(self.pointer(ptr), "pinned")

    @function(results=2)
    def cudaMemGetInfo(self) -> tuple[int, int]:
        used = sum(block.size for block in self.memory.blocks("device", self.current))
        return self.capacity - used, self.capacity

    @function(results=1)
    def cudaPointerGetAttributes(self, ptr: Any) -> cudaPointerAttributes:
        address = self.pointer(ptr)
        block = self.memory.around(address)
        kinds = self.enums["cudaMemoryType"]
        if block is None:
            return cudaPointerAttributes(kinds["cudaMemoryTypeUnregistered"], -2, 0, 0)
        if block.kind == "device":
            return cudaPointerAttributes(kinds["cudaMemoryTypeDevice"], block.device, address, 0)
        return cudaPointerAttributes(kinds["cudaMemoryTypeHost"], block.device, address, address)

    @function()
    def cudaMemcpyAsync(self, dst: Any, src: Any, count: int, kind: Any, stream: Any) -> None:
        target = self.work_stream(stream)
        op = copy_op(self.pointer(dst), self.pointer(src), count)
        pageable = self.check_copy(op, kind, pageable=True)
        if pageable and target.capture:
            target.capture.broken = "a copy of ordinary host memory"
            raise Failure("cudaErrorStreamCaptureUnsupported", "ordinary host memory cannot be captured; pin it")
        self.enqueue(target, op)
        if pageable:  # CUDA stages such copies itself, and returns when the host's side is done
            self.drain(target)
            self.raise_sticky()

    @function(unsafe=True)
    def cudaMemcpy(self, dst: Any, src: Any, count: int, kind: Any) -> None:
        null = self.work_stream(0)
        op = copy_op(self.pointer(dst), self.pointer(src), count)
        self.check_copy(op, kind, pageable=True)
        self.enqueue(null, op)
        self.drain(null)
        self.raise_sticky()

    @function()
    def cudaMemsetAsync(self, devPtr: Any, value: int, count: int, stream: Any) -> None:
        target, address = self.work_stream(stream), self.pointer(devPtr)
        if self.block_of(address, count, "the destination") is None:
            raise Failure("cudaErrorInvalidValue", f"{address:#x} is neither device nor pinned memory")
        span = Span(address, count)
        fill = lambda: ctypes.memset(address, value, count)  # noqa: E731
        self.enqueue(target, Op("cudaGraphNodeTypeMemset", fill, writes=(span,)))  # type: ignore[arg-type]

    # Streams.

    @function(results=1)
    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        return self.add("cudaStream_t", Stream(self.current, blocking=not flags & _NON_BLOCKING))

    @function(results=1)
    def cudaStreamCreate(self) -> Any:
        return self.add("cudaStream_t", Stream(self.current, blocking=True))

    @function()
    def cudaStreamDestroy(self, stream: Any) -> None:
        one = self.get(stream, Stream, "stream")
        if one.capture:
            one.capture.broken = "a stream of it was destroyed"
        self.drain(one)
        self.remove(stream)

    @function()
    def cudaStreamSynchronize(self, stream: Any) -> None:
        self._wait(stream, "cudaStreamSynchronize")
        self.drain(self.stream(stream))
        self.raise_sticky()

    @function()
    def cudaStreamQuery(self, stream: Any) -> None:
        self._wait(stream, "cudaStreamQuery")
        one = self.stream(stream)
        if one.queue:
            self.step(one)  # time goes by
        self.raise_sticky()
        if one.queue:
            raise Failure("cudaErrorNotReady")

    # Errors.

    @function(results=1, driverless=True)
    def cudaGetErrorName(self, error: Any) -> bytes:
        return str(self.enums["cudaError_t"](error.value).name).encode()

    @function(results=1, driverless=True)
    def cudaGetErrorString(self, error: Any) -> bytes:
        name = self.enums["cudaError_t"](error.value).name
        return _MESSAGES.get(name, name).encode()

    def cudaGetLastError(self) -> tuple[Any]:
        return self._last_error(forget=True)

    def cudaPeekAtLastError(self) -> tuple[Any]:
        return self._last_error(forget=False)

    cudaGetLastError.__dict__["is_function"] = True
    cudaPeekAtLastError.__dict__["is_function"] = True

    def _last_error(self, *, forget: bool) -> tuple[Any]:
        with self.lock:
            self.calls["cudaGetLastError" if forget else "cudaPeekAtLastError"] += 1
            error = self.enums["cudaError_t"][self._sticky or self._last]
            if forget:
                self._last = "cudaSuccess"
            return (error,)

    # Below the functions.

    def _check_device(self, device: int) -> None:
        if not 0 <= device < self.devices:
            raise Failure("cudaErrorInvalidDevice")

    def _allocate(self, size: int) -> int:
        used = sum(block.size for block in self.memory.blocks("device", self.current))
        limit = self.capacity if self.out_of_memory_after is None else self.out_of_memory_after
        if used + size > limit:
            raise Failure("cudaErrorMemoryAllocation")
        return self.memory.allocate("device", size, self.current).address if size else 0

    def _free(self, address: int, kind: str) -> None:
        if address:
            block = self._block(address, kind)
            self.forbid_pending(block)
            self.memory.free(block)

    def _block(self, address: int, kind: str) -> Allocation:
        block = self.memory.at(address)
        if block is None or block.kind != kind:
            raise Failure("cudaErrorInvalidValue", f"{address:#x} is not the start of a live block of {kind} memory")
        return block

    def _outside_capture(self, stream: Stream) -> None:
        if stream.capture:
            raise NotImplementedError("the fake CUDA allocates no memory in a graph")

    def _wait(self, handle: Any, name: str) -> None:
        stream = self.stream(handle)
        if stream.capture:
            stream.capture.broken = f"{name} was called on it"
            raise Failure("cudaErrorStreamCaptureUnsupported", "the stream is being captured: it cannot be waited for")
        self.forbid_in_capture(name)


def _whole(block: Allocation) -> Span:
    return Span(block.address, block.size)
