"""What is under the functions of the fake CUDA: handles, errors, the counting, and how queued work gets done."""

from __future__ import annotations

import functools
import operator
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, TypeVar

from tests.fakes._memory import Allocation, Memory, Span
from tests.fakes._queue import Capture, Context, Op, Stream
from tests.fakes.facts import cuda_facts

_T = TypeVar("_T")
NO_DRIVER = (
    '"cuda" is an NVIDIA driver library and can only be found via system search. '
    "Ensure the NVIDIA display driver is installed."
)
"""What the real binding says (as a RuntimeError) where there is no driver."""
_POINTERS = (
    "CUstream", "CUevent", "CUgraph", "CUgraphExec", "CUgraphNode", "CUcontext", "CUdevice", "CUdeviceptr",
)  # fmt: skip


class Failure(Exception):  # noqa: N818 - a status that CUDA returns, not an error of the test
    """A function's status other than success.

    Attributes:
        error: Name of the member of CUresult.
        fault: What the caller did wrong, for `FakeCuda.faults`; None where it is no fault of its.
    """

    def __init__(self, error: str, fault: str | None = None) -> None:
        super().__init__(error, fault)
        self.error = error
        self.fault = fault


class Handle:
    """A handle or pointer as cuda-bindings has them: ``int()`` gives the number; equal to its like, to no int."""

    def __init__(self, init_value: Any = 0) -> None:
        self._number = int(init_value)

    def __int__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self._number == other._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._number:#x}>"


@functools.cache
def _types(version: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return enums and handles of a cuda-bindings; making the enums anew takes as long as a small test."""
    enums: dict[str, Any] = {name: IntEnum(name, members) for name, members in cuda_facts(version)["enums"].items()}
    classes: dict[str, Any] = {
        name: type(name, (Handle,), {"__module__": "cuda.bindings.driver"}) for name in _POINTERS
    }
    names = cuda_facts(version)["classes"]["CUDA_MEMCPY3D"]
    zeros = dict.fromkeys(names, 0)
    classes["CUDA_MEMCPY3D"] = type("CUDA_MEMCPY3D", (), {**zeros, "__module__": "cuda.bindings.driver"})
    return enums, classes


def function(*, results: int = 0, context: bool = True, unsafe: bool = False) -> Callable[[Any], Any]:
    """Make a method a function of the module: counted, locked, and with CUDA's way of returning ``(status, ...)``.

    Args:
        results: How many values come after the status; all of them are None on failure.
        context: Whether it needs a context that is current on the calling thread.
        unsafe: Whether it may not be called while a stream is being captured (unless that capture is relaxed).
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        name = method.__name__

        @functools.wraps(method)
        def call(self: Driver, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
            if self.driver_missing:
                raise RuntimeError(NO_DRIVER)
            self.wait_if_held(name)
            with self.lock:
                self.calls[name] += 1
                try:
                    self.before(name, context=context, unsafe=unsafe)
                    value = method(self, *args, **kwargs)
                except Failure as failure:
                    return (self.failed(failure, name), *[None] * results)
                values = () if results == 0 else (value,) if results == 1 else tuple(value)
                return (self.enums["CUresult"]["CUDA_SUCCESS"], *values)

        call.__dict__["is_function"] = True
        return call

    return decorate


class Driver:
    """The state of all fake GPUs.

    Attributes:
        calls: How often each function was called, by name.
        faults: Every misuse, in words. A test that ends with one has found a bug, whatever came out of it.
        lazy: Whether queued work is done only when somebody waits for it.
        devices: Number of GPUs.
        unified_nodes: Whether a graph's copies are shown as between addresses of any kind, as driver 580 shows them.
        lock: Held by every function; also guards what the fake TensorRT does.
        users: What works with a stream, and the number of that: it has to be gone before the stream is.
    """

    def __init__(self, *, version: str, devices: int, lazy: bool, driver_missing: bool) -> None:
        self.facts = cuda_facts(version)
        self.enums, self.classes = _types(version)
        self.version = version
        self.devices = devices
        self.lazy = lazy
        self.driver_missing = driver_missing
        self.unified_nodes = True
        self.capacity = 80 << 30
        self.out_of_memory_after: int | None = None
        self.calls: Counter[str] = Counter()
        self.faults: list[str] = []
        self.lock = threading.RLock()
        self.memory = Memory()
        self._local = threading.local()
        self._objects: dict[int, Any] = {}
        self._next = 0x1000
        self._numbers = 0
        self._forced: dict[str, list[str | None]] = {}
        self._held: dict[str, tuple[threading.Event, threading.Event]] = {}
        self._sticky: dict[int, str] = {}
        self.initialised = False
        self.users: list[tuple[weakref.ref[Any], int]] = []
        self.primary = [Context(device) for device in range(devices)]
        self._null: dict[int, Stream] = {}
        for one in self.primary:
            one.handle = int(self.add("CUcontext", one))

    # What tests use.

    def fail_next(self, function_name: str, error: str, *, times: int = 1, after: int = 0) -> None:
        """Let the next call of a function, or one after some others, return an error, by its name in CUresult."""
        if error not in self.facts["enums"]["CUresult"] or function_name not in self.facts["functions"]:
            raise ValueError(f"there is no {function_name} or no {error}")
        self._forced.setdefault(function_name, []).extend([*[None] * after, *[error] * times])

    def hold_next(self, function_name: str) -> tuple[threading.Event, threading.Event]:
        """Let the next call of a function wait, as for a busy GPU; return events: that it waits, and that ends it."""
        if function_name not in self.facts["functions"]:
            raise ValueError(f"there is no {function_name}")
        self._held[function_name] = threading.Event(), threading.Event()
        return self._held[function_name]

    def break_gpu(self, device: int, error: str = "CUDA_ERROR_ILLEGAL_ADDRESS") -> None:
        """Let everything that is asked of a GPU fail from here on, as after a fault of its own."""
        self._sticky[device] = error
        for stream in self.streams():
            if stream.context.device == device:
                while stream.queue:
                    stream.queue.popleft().done = True

    def sticky(self, device: int) -> str | None:
        """Return what went wrong in work that was queued before on a GPU."""
        return self._sticky.get(device)

    def raise_sticky(self) -> None:
        """Raise what went wrong in work that was queued before, on the GPU that is current."""
        error = self.sticky(self.here.device)
        if error:
            raise Failure(error)

    def wait_if_held(self, function_name: str) -> None:
        """Wait for the end of a hold, if the function is held; no other call waits."""
        reached, released = self._held.pop(function_name, (None, None))
        if reached is not None and released is not None:
            reached.set()
            if not released.wait(30):
                raise RuntimeError(f"{function_name} was never let go")

    @property
    def live(self) -> dict[str, int]:
        """How many of each thing exist that somebody has to free; all zero means that nothing leaked."""
        kinds = Counter(type(one).__name__ for one in self._objects.values())
        return {
            "device memory": len(self.memory.blocks("device")),
            "pinned memory": len(self.memory.blocks("pinned")),
            "streams": kinds["Stream"],
            "events": kinds["Event"],
            "graphs": kinds["Graph"],
            "graph execs": kinds["GraphExec"],
        }

    def bytes_in_use(self, kind: str) -> int:
        """Return how many bytes of ``device`` or ``pinned`` memory are allocated."""
        return sum(block.size for block in self.memory.blocks(kind))

    def fault(self, text: str) -> None:
        """Note a misuse."""
        self.faults.append(text)

    # Around every function.

    def before(self, name: str, *, context: bool, unsafe: bool) -> None:
        """Raise the failure that a call must have whatever its arguments are."""
        if self._forced.get(name) and (error := self._forced[name].pop(0)):
            raise Failure(error)
        if name.startswith("cuGetError") or name in ("cuInit", "cuDriverGetVersion"):
            return
        if not self.initialised:
            raise Failure("CUDA_ERROR_NOT_INITIALIZED", "was called before cuInit")
        if context and self.current is None:
            raise Failure("CUDA_ERROR_INVALID_CONTEXT", "no context is current on this thread")
        if context and not ("Destroy" in name or "Free" in name):
            self.raise_sticky()
        if unsafe:
            self.forbid_in_capture(name)

    def failed(self, failure: Failure, name: str) -> IntEnum:
        """Note a failure; return the member of CUresult."""
        if failure.fault:
            self.fault(f"{name}: {failure.fault}")
        member: IntEnum = self.enums["CUresult"][failure.error]
        return member

    def forbid_in_capture(self, name: str) -> None:
        """Fail, and break the capture, if a capture under way forbids calls that might wait."""
        for capture in self.captures():
            mine = capture.thread == threading.get_ident()
            if capture.mode == "CU_STREAM_CAPTURE_MODE_GLOBAL" or (
                capture.mode == "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL" and mine
            ):
                capture.broken = f"{name} was called meanwhile"
                raise Failure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "is not allowed during a capture")

    def captures(self) -> list[Capture]:
        """Return the captures under way."""
        return [one.capture for one in self._objects.values() if isinstance(one, Stream) and one.capture]

    # Handles and pointers.

    def add(self, kind: str, thing: object) -> Any:
        """Keep a thing; return a new handle of it."""
        self._next += 0x10
        self._objects[self._next] = thing
        return self.classes[kind](self._next)

    def get(self, handle: Any, kind: type[_T], what: str) -> _T:
        """Return the thing behind a handle."""
        pointer = self.pointer(handle)
        thing = self._objects.get(pointer)
        if not isinstance(thing, kind):
            raise Failure("CUDA_ERROR_INVALID_HANDLE", f"{pointer:#x} is no {what}, or one that was destroyed")
        return thing

    def remove(self, handle: Any) -> None:
        """Forget the thing behind a handle."""
        del self._objects[self.pointer(handle)]

    def pointer(self, value: Any) -> int:
        """Return what cuda-bindings makes of a pointer or handle: an int, or anything with a buffer or a handle."""
        if value is None:
            return 0
        if isinstance(value, Handle):
            return int(value)
        if hasattr(value, "__array_interface__"):
            return int(value.__array_interface__["data"][0])
        return operator.index(value)

    @property
    def current(self) -> Context | None:
        """The context that is current on this thread."""
        return getattr(self._local, "context", None)

    def set_current(self, context: Context | None) -> None:
        """Make a context current on this thread."""
        self._local.context = context

    @property
    def here(self) -> Context:
        """The context that is current on this thread; a function that needs one has been refused without."""
        assert self.current is not None
        return self.current

    def stream(self, handle: Any) -> Stream:
        """Return the stream behind a handle: 0 and 1 are the legacy default stream of the current context."""
        pointer = self.pointer(handle)
        if pointer == self.facts["constants"]["CU_STREAM_PER_THREAD"]:
            raise NotImplementedError("the fake CUDA has no per-thread default stream")
        if pointer in (0, 1):
            return self._null.setdefault(id(self.here), Stream(self.here, blocking=True))
        return self.get(handle, Stream, "stream")

    def work_stream(self, handle: Any) -> Stream:
        """Return a stream to put work on. It must belong to the current context."""
        stream = self.stream(handle)
        if stream.context is not self.current:
            raise Failure("CUDA_ERROR_INVALID_HANDLE", "the stream belongs to a context that is not current")
        if self.is_null(stream):
            for capture in self.captures():
                if capture.origin.blocking and capture.origin.context is stream.context:
                    capture.broken = "the default stream was used meanwhile"
                    raise Failure("CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "uses the default stream during a capture")
        if stream.capture and stream.capture.broken:
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        return stream

    def is_null(self, stream: Stream) -> bool:
        """Whether it is a default stream."""
        return any(stream is one for one in self._null.values())

    def streams(self) -> Iterator[Stream]:
        """Iterate over all streams."""
        yield from list(self._null.values())
        yield from [one for one in self._objects.values() if isinstance(one, Stream)]

    def block_of(self, address: int, count: int, what: str) -> Allocation | None:
        """Return the block that a span of memory lies in, or None for memory that CUDA does not know."""
        block = self.memory.around(address)
        if block and not block.holds(Span(address, count)):
            raise Failure(
                "CUDA_ERROR_INVALID_VALUE",
                f"{what}: {count} bytes from {address:#x} go beyond the end of their block of {block.size} bytes",
            )
        if block is None and self.memory.was_freed(address):
            raise Failure("CUDA_ERROR_INVALID_VALUE", f"{what}: {address:#x} was freed")
        return block

    # Work.

    def enqueue(self, stream: Stream, op: Op) -> None:
        """Put work on a stream: into the graph if it is being captured, else into the queue."""
        if stream.capture:
            stream.capture.add(stream, op)
            return
        if self.is_null(stream):
            for other in self.streams():
                if other.blocking and other is not stream and other.queue and other.context is stream.context:
                    self._push(stream, self.wait_op(other, other.queue[-1]))
        elif stream.blocking and (null := self._null.get(id(stream.context))) and null.queue:
            self._push(stream, self.wait_op(null, null.queue[-1]))
        self._push(stream, op)
        if not self.lazy:
            self.drain(stream)

    def _push(self, stream: Stream, op: Op) -> None:
        self._numbers += 1
        op.number = self._numbers
        stream.queue.append(op)

    def wait_op(self, stream: Stream, mark: Op) -> Op:
        """Return work that waits until other work on another stream is done."""
        return Op("CU_GRAPH_NODE_TYPE_WAIT_EVENT", lambda: self.drain(stream, until=mark))

    def drain(self, stream: Stream, until: Op | None = None) -> None:
        """Do the work of a stream, all of it or up to one piece."""
        while stream.queue and not (until and until.done):
            self.step(stream)

    def step(self, stream: Stream) -> None:
        """Do the next piece of work of a stream."""
        op = stream.queue.popleft()
        self._check_order(stream, op)
        try:
            self._check_memory(op, stream.context.device)
            op.run()
        except Failure as failure:
            self._sticky.setdefault(stream.context.device, failure.error)
            if failure.fault:
                self.fault(f"work on a stream: {failure.fault}")
        op.done = True

    def _check_order(self, stream: Stream, op: Op) -> None:
        for other in self.streams():
            for earlier in other.queue if other is not stream else ():
                if earlier.number < op.number and (what := op.conflicts(earlier)):
                    self.fault(f"race: {what} is used by two streams, and neither waits for the other")

    def _check_memory(self, op: Op, device: int) -> None:
        for span in (*op.reads, *op.writes):
            try:
                block = self.block_of(span.start, span.size, "at the time of execution")
            except Failure as failure:
                raise Failure("CUDA_ERROR_ILLEGAL_ADDRESS", failure.fault) from failure
            if block and block.kind == "device" and block.device != device and "KERNEL" in op.node:
                raise Failure("CUDA_ERROR_ILLEGAL_ADDRESS", f"GPU {device} computed with memory of GPU {block.device}")

    def forbid_pending(self, block: Allocation) -> None:
        """Note a fault if queued work still needs a block that is being freed; then do that work, as CUDA does."""
        whole = Span(block.address, block.size)
        for stream in self.streams():
            if any(span.overlaps(whole) for op in stream.queue for span in (*op.reads, *op.writes)):
                self.fault(f"memory at {block.address:#x} was freed while queued work used it")
                self.drain(stream)
