"""A stand-in for ``cuda.bindings.driver`` (cuda-bindings 12 and 13): the same names, handles and return tuples.

Device memory is host memory at real addresses. Work on a stream is done at once, or, with ``lazy=True``, only when
somebody waits for it, which finds missing synchronisation: a result that was not waited for is still rubbish. What
CUDA would refuse is refused with CUDA's status; what it would let pass and spoil is noted in `FakeCuda.faults`.

Example::

    cuda = FakeCuda(lazy=True)
    with installed(cuda=cuda):                       # tests.fakes.install
        from cuda.bindings import driver
        driver.cuInit(0)
        ...
    assert cuda.calls["cuInit"] == 1 and not cuda.faults and not any(cuda.live.values())
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from tests.fakes._driver import Failure, function
from tests.fakes._graphs import Graphs
from tests.fakes._memory import Allocation, Span
from tests.fakes._queue import Context, Op, Stream, copy_op

# Names of functions and parameters are CUDA's own; what they do is in NVIDIA's reference.
# ruff: noqa: N802, N803, D102

_MESSAGES = {
    "CUDA_SUCCESS": "no error",
    "CUDA_ERROR_INVALID_VALUE": "invalid argument",
    "CUDA_ERROR_OUT_OF_MEMORY": "out of memory",
    "CUDA_ERROR_NOT_INITIALIZED": "initialization error",
    "CUDA_ERROR_NO_DEVICE": "no CUDA-capable device is detected",
    "CUDA_ERROR_INVALID_DEVICE": "invalid device ordinal",
    "CUDA_ERROR_INVALID_CONTEXT": "invalid device context",
    "CUDA_ERROR_INVALID_HANDLE": "invalid resource handle",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "an illegal memory access was encountered",
    "CUDA_ERROR_NOT_READY": "device not ready",
    "CUDA_ERROR_LAUNCH_FAILED": "unspecified launch failure",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "operation not permitted when stream is capturing",
    "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": "operation failed due to a previous error during capture",
}


class FakeCuda(Graphs):
    """Fake GPUs, and the functions that drive them; see `Driver` for what a test can look at.

    Attributes:
        capability: Compute capability of every GPU.
        name: Name of every GPU.
    """

    def __init__(
        self,
        *,
        devices: int = 1,
        lazy: bool = False,
        driver_missing: bool = False,
        capability: tuple[int, int] = (9, 0),
        name: str = "Fake GPU",
        version: str = "13.5.0",
    ) -> None:
        """Make fake GPUs.

        Args:
            devices: How many; with 0, cuInit says CUDA_ERROR_NO_DEVICE.
            lazy: Do queued work only when it is waited for.
            driver_missing: Every function raises RuntimeError, as the real binding does without a driver.
            capability: Compute capability.
            name: Name of the GPU.
            version: Which cuda-bindings to be, out of `facts.CUDA`.
        """
        super().__init__(version=version, devices=devices, lazy=lazy, driver_missing=driver_missing)
        self.capability = capability
        self.name = name

    def module(self) -> ModuleType:
        """Return the module that code imports: exactly what the fake can do, under the real names."""
        module = ModuleType("cuda.bindings.driver", "A stand-in for tests.")
        names = [name for name in dir(type(self)) if getattr(getattr(type(self), name), "is_function", False)]
        module.__dict__.update({name: getattr(self, name) for name in names})
        module.__dict__.update(self.enums | self.classes | self.facts["constants"])
        return module

    def make_context(self, device: int = 0) -> Any:
        """Make a context of somebody else's (PyCUDA's, say) current on this thread; return its handle."""
        context = Context(device)
        handle = self.add("CUcontext", context)
        context.handle = int(handle)
        self.set_current(context)
        return handle

    # Devices and contexts.

    @function(context=False)
    def cuInit(self, Flags: int) -> None:
        if not self.devices:
            raise Failure("CUDA_ERROR_NO_DEVICE")
        self.initialised = True

    @function(results=1, context=False)
    def cuDriverGetVersion(self) -> int:
        return 13000

    @function(results=1, context=False)
    def cuDeviceGetCount(self) -> int:
        return self.devices

    @function(results=1, context=False)
    def cuDeviceGet(self, ordinal: int) -> Any:
        return self.classes["CUdevice"](self._device(ordinal))

    @function(results=1, context=False)
    def cuDeviceGetName(self, length: int, dev: Any) -> bytes:
        self._device(dev)
        return self.name.encode()[: length - 1].ljust(length, b"\0")

    @function(results=1, context=False)
    def cuDeviceTotalMem(self, dev: Any) -> int:
        self._device(dev)
        return self.capacity

    @function(results=1, context=False)
    def cuDeviceGetAttribute(self, attrib: Any, dev: Any) -> int:
        self._device(dev)
        name = self.enums["CUdevice_attribute"](attrib.value).name.removeprefix("CU_DEVICE_ATTRIBUTE_")
        values = {
            "COMPUTE_CAPABILITY_MAJOR": self.capability[0], "COMPUTE_CAPABILITY_MINOR": self.capability[1],
            "INTEGRATED": 0, "UNIFIED_ADDRESSING": 1, "CAN_MAP_HOST_MEMORY": 1, "MULTIPROCESSOR_COUNT": 132,
            "MEMORY_POOLS_SUPPORTED": 1, "PCI_BUS_ID": 1, "PCI_DEVICE_ID": 0, "PCI_DOMAIN_ID": 0,
            "HOST_REGISTER_SUPPORTED": 1,
        }  # fmt: skip
        if name not in values:
            raise NotImplementedError(f"the fake CUDA has no CU_DEVICE_ATTRIBUTE_{name}")
        return values[name]

    @function(results=1, context=False)
    def cuDevicePrimaryCtxRetain(self, dev: Any) -> Any:
        context = self.primary[self._device(dev)]
        context.retained += 1
        return self.classes["CUcontext"](context.handle)

    @function(context=False)
    def cuDevicePrimaryCtxRelease(self, dev: Any) -> None:
        context = self.primary[self._device(dev)]
        if not context.retained:
            raise Failure("CUDA_ERROR_INVALID_CONTEXT", "the primary context is not retained")
        context.retained -= 1

    @function(results=1, context=False)
    def cuCtxGetCurrent(self) -> Any:
        return self.classes["CUcontext"](self.current.handle if self.current else 0)

    @function(context=False)
    def cuCtxSetCurrent(self, ctx: Any) -> None:
        if not self.pointer(ctx):
            self.set_current(None)
            return
        context = self.get(ctx, Context, "context")
        if context in self.primary and not context.retained:
            raise Failure("CUDA_ERROR_CONTEXT_IS_DESTROYED", "the primary context is not retained")
        self.set_current(context)

    @function(results=1)
    def cuCtxGetDevice(self) -> Any:
        return self.classes["CUdevice"](self.here.device)

    @function(unsafe=True)
    def cuCtxSynchronize(self) -> None:
        for stream in self.streams():
            if stream.context is self.current:
                self.drain(stream)
        self.raise_sticky()

    # Memory.

    @function(results=1, unsafe=True)
    def cuMemAlloc(self, bytesize: int) -> Any:
        return self.classes["CUdeviceptr"](self._allocate("device", bytesize))

    @function(unsafe=True)
    def cuMemFree(self, dptr: Any) -> None:
        self._free(dptr, "device")

    @function(results=1)
    def cuMemAllocAsync(self, bytesize: int, hStream: Any) -> Any:
        self._outside_capture(self.work_stream(hStream))
        return self.classes["CUdeviceptr"](self._allocate("device", bytesize))

    @function()
    def cuMemFreeAsync(self, dptr: Any, hStream: Any) -> None:
        stream = self.work_stream(hStream)
        self._outside_capture(stream)
        block = self._block(dptr, "device")
        whole = Span(block.address, block.size)
        self.enqueue(stream, Op("CU_GRAPH_NODE_TYPE_MEM_FREE", lambda: self.memory.free(block), writes=(whole,)))

    @function(results=1, unsafe=True)
    def cuMemHostAlloc(self, bytesize: int, Flags: int) -> int:
        return self._allocate("pinned", bytesize)

    @function(unsafe=True)
    def cuMemFreeHost(self, p: Any) -> None:
        if self._block(p, "pinned").buffer is None:
            raise Failure("CUDA_ERROR_INVALID_VALUE", "the memory is page-locked only: it is to be unregistered")
        self._free(p, "pinned")

    @function(unsafe=True)
    def cuMemHostRegister(self, p: Any, bytesize: int, Flags: int) -> None:
        address = self.pointer(p)
        if any(self.memory.around(end) for end in (address, address + bytesize - 1)):
            raise Failure("CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", f"{address:#x} is page-locked already")
        self.memory.register(address, bytesize, self.here.device)

    @function(unsafe=True)
    def cuMemHostUnregister(self, p: Any) -> None:
        block = self._block(p, "pinned")
        if block.buffer is not None:
            raise Failure("CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "the memory is CUDA's own")
        self.forbid_pending(block)
        self.memory.free(block)

    @function(results=2)
    def cuMemGetInfo(self) -> tuple[int, int]:
        return self.capacity - self._used("device"), self.capacity

    @function(results=1)
    def cuPointerGetAttribute(self, attribute: Any, ptr: Any) -> Any:
        name = self.enums["CUpointer_attribute"](attribute.value).name.removeprefix("CU_POINTER_ATTRIBUTE_")
        block = self.memory.around(self.pointer(ptr))
        if block is None:
            raise Failure("CUDA_ERROR_INVALID_VALUE")  # no fault: this is how one asks whether CUDA knows a pointer
        if name == "MEMORY_TYPE":
            return self.enums["CUmemorytype"][f"CU_MEMORYTYPE_{'DEVICE' if block.kind == 'device' else 'HOST'}"]
        if name == "CONTEXT":
            return self.classes["CUcontext"](self.primary[block.device].handle)
        if name == "DEVICE_ORDINAL":
            return 0  # as some versions of cuda-bindings have it
        raise NotImplementedError(f"the fake CUDA has no CU_POINTER_ATTRIBUTE_{name}")

    @function()
    def cuMemcpyAsync(self, dst: Any, src: Any, ByteCount: int, hStream: Any) -> None:
        self._copy(dst, src, ByteCount, hStream, None)

    @function()
    def cuMemcpyHtoDAsync(self, dstDevice: Any, srcHost: Any, ByteCount: int, hStream: Any) -> None:
        self._copy(dstDevice, srcHost, ByteCount, hStream, "HtoD")

    @function()
    def cuMemcpyDtoHAsync(self, dstHost: Any, srcDevice: Any, ByteCount: int, hStream: Any) -> None:
        self._copy(dstHost, srcDevice, ByteCount, hStream, "DtoH")

    @function()
    def cuMemcpyDtoDAsync(self, dstDevice: Any, srcDevice: Any, ByteCount: int, hStream: Any) -> None:
        self._copy(dstDevice, srcDevice, ByteCount, hStream, "DtoD")

    @function()
    def cuMemsetD8Async(self, dstDevice: Any, uc: int, N: int, hStream: Any) -> None:
        target, address = self.work_stream(hStream), self.pointer(dstDevice)
        if self.block_of(address, N, "the destination") is None:
            raise Failure("CUDA_ERROR_INVALID_VALUE", f"{address:#x} is neither device nor pinned memory")

        def fill() -> None:
            ctypes.memset(address, uc, N)

        self.enqueue(target, Op("CU_GRAPH_NODE_TYPE_MEMSET", fill, writes=(Span(address, N),)))

    # Streams.

    @function(results=1)
    def cuStreamCreate(self, Flags: int) -> Any:
        blocking = not Flags & self.enums["CUstream_flags"].CU_STREAM_NON_BLOCKING
        return self.add("CUstream", Stream(self.here, blocking=blocking))

    @function()
    def cuStreamDestroy(self, hStream: Any) -> None:
        one = self.get(hStream, Stream, "stream")
        if one.capture:
            one.capture.broken = "a stream of it was destroyed"
        if any(user() is not None and number == self.pointer(hStream) for user, number in self.users):
            self.fault("a stream was destroyed before the session that works with it was")
        self.drain(one)
        self.remove(hStream)

    @function()
    def cuStreamSynchronize(self, hStream: Any) -> None:
        self.drain(self._waitable(hStream, "cuStreamSynchronize"))
        self.raise_sticky()

    @function()
    def cuStreamQuery(self, hStream: Any) -> None:
        one = self._waitable(hStream, "cuStreamQuery")
        if one.queue:
            self.step(one)  # time goes by
        self.raise_sticky()
        if one.queue:
            raise Failure("CUDA_ERROR_NOT_READY")

    # Errors.

    @function(results=1, context=False)
    def cuGetErrorName(self, error: Any) -> bytes:
        return str(self.enums["CUresult"](error.value).name).encode()

    @function(results=1, context=False)
    def cuGetErrorString(self, error: Any) -> bytes:
        name = self.enums["CUresult"](error.value).name
        return _MESSAGES.get(str(name), str(name)).encode()

    # Below the functions.

    def _device(self, dev: Any) -> int:
        number = self.pointer(dev)
        if not 0 <= number < self.devices:
            raise Failure("CUDA_ERROR_INVALID_DEVICE", f"there is no GPU {number}")
        return number

    def _used(self, kind: str) -> int:
        return sum(block.size for block in self.memory.blocks(kind, self.here.device))

    def _allocate(self, kind: str, size: int) -> int:
        if not size:
            raise Failure("CUDA_ERROR_INVALID_VALUE", "nothing can be allocated: 0 bytes")
        limit = self.capacity if self.out_of_memory_after is None else self.out_of_memory_after
        if kind == "device" and self._used(kind) + size > limit:
            raise Failure("CUDA_ERROR_OUT_OF_MEMORY")
        return self.memory.allocate(kind, size, self.here.device).address

    def _free(self, pointer: Any, kind: str) -> None:
        block = self._block(pointer, kind)
        self.forbid_pending(block)
        self.memory.free(block)

    def _block(self, pointer: Any, kind: str) -> Allocation:
        address = self.pointer(pointer)
        block = self.memory.at(address)
        if block is None or block.kind != kind:
            raise Failure("CUDA_ERROR_INVALID_VALUE", f"{address:#x} is not the start of a live block of {kind} memory")
        return block

    def _copy(self, dst: Any, src: Any, count: int, stream: Any, direction: str | None) -> None:
        target = self.work_stream(stream)
        op = copy_op(self.pointer(dst), self.pointer(src), count)
        pageable = self.check_copy(op, direction)
        if pageable and target.capture:
            target.capture.broken = "a copy of ordinary host memory"
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "ordinary host memory cannot be captured; pin it")
        self.enqueue(target, op)
        if pageable:  # CUDA stages such copies itself, and returns when the host's side is done
            self.drain(target)
            self.raise_sticky()

    def _outside_capture(self, stream: Stream) -> None:
        if stream.capture:
            raise NotImplementedError("the fake CUDA allocates no memory in a graph")

    def _waitable(self, handle: Any, name: str) -> Stream:
        stream = self.stream(handle)
        if stream.capture:
            stream.capture.broken = f"{name} was called on it"
            raise Failure(
                "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "the stream is being captured: it cannot be waited for"
            )
        self.forbid_in_capture(name)
        return stream
