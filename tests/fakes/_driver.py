"""What is under the functions of the fake CUDA: handles, errors, the counting, and how queued work gets done."""

from __future__ import annotations

import functools
import operator
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, ClassVar, TypeVar

from tests.fakes._memory import Allocation, Memory, Span
from tests.fakes._queue import Capture, Event, Graph, GraphExec, Op, Stream
from tests.fakes.facts import cuda_facts

_T = TypeVar("_T")
_HANDLE_CLASSES = {
    "cudaStream_t": "CUstream", "cudaEvent_t": "CUevent", "cudaGraph_t": "CUgraph", "cudaGraphExec_t": "CUgraphExec",
    "cudaGraphNode_t": "CUgraphNode",
}  # fmt: skip


class Failure(Exception):  # noqa: N818 - a status that CUDA returns, not an error of the test
    """A function's status other than success.

    Attributes:
        error: Name of the member of cudaError_t.
        fault: What the caller did wrong, for `FakeCuda.faults`; None where it is no fault of its.
    """

    def __init__(self, error: str, fault: str | None = None) -> None:
        super().__init__(error, fault)
        self.error = error
        self.fault = fault


class Handle:
    """An opaque handle as cuda-bindings has them: no int, but ``int()`` gives the pointer."""

    def __init__(self, init_value: Any = 0) -> None:
        if isinstance(init_value, Handle) and not isinstance(init_value, type(self)):
            raise TypeError(f"cannot make a {type(self).__name__} from a {type(init_value).__name__}")
        self._pointer = int(init_value)

    def __int__(self) -> int:
        return self._pointer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self._pointer == other._pointer

    def __hash__(self) -> int:
        return hash(self._pointer)

    def __repr__(self) -> str:
        return f"<{_HANDLE_CLASSES[type(self).__name__]} {self._pointer:#x}>"


def function(*, results: int = 0, unsafe: bool = False, driverless: bool = False) -> Callable[[Any], Any]:
    """Make a method a function of the module: counted, locked, and with CUDA's way of returning ``(error, ...)``.

    Args:
        results: How many values come after the error; all of them are None on failure.
        unsafe: Whether it may not be called while a stream is being captured (unless that capture is relaxed).
        driverless: Whether it works without a driver.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        name = method.__name__

        @functools.wraps(method)
        def call(self: Driver, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
            with self.lock:
                self.calls[name] += 1
                try:
                    if not driverless:
                        self.before(name, unsafe=unsafe)
                    value = method(self, *args, **kwargs)
                except Failure as failure:
                    return (self.failed(failure, name), *[None] * results)
                values = () if results == 0 else (value,) if results == 1 else tuple(value)
                return (self.enums["cudaError_t"].cudaSuccess, *values)  # type: ignore[attr-defined]

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
        lock: Held by every function; also guards what the fake TensorRT does.
    """

    enums: ClassVar[dict[str, type[IntEnum]]] = {}

    def __init__(self, *, version: str, devices: int, lazy: bool, driver_missing: bool) -> None:
        self.facts = cuda_facts(version)
        self.enums = {name: IntEnum(name, members) for name, members in self.facts["enums"].items()}  # type: ignore[misc]
        self.classes = {
            name: type(name, (Handle,), {"__module__": "cuda.bindings.runtime"}) for name in _HANDLE_CLASSES
        }
        self.version = version
        self.devices = devices
        self.lazy = lazy
        self.driver_missing = driver_missing
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
        self._forced: dict[str, list[str]] = {}
        self._last = "cudaSuccess"
        self._sticky: str | None = None
        self._null = [Stream(device, blocking=True) for device in range(devices)]

    # What tests use.

    def fail_next(self, function_name: str, error: str, *, times: int = 1) -> None:
        """Let the next call of a function return an error, given by the name of its member of cudaError_t."""
        if error not in self.facts["enums"]["cudaError_t"] or function_name not in self.facts["functions"]:
            raise ValueError(f"there is no {function_name} or no {error}")
        self._forced.setdefault(function_name, []).extend([error] * times)

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

    def before(self, name: str, *, unsafe: bool) -> None:
        """Raise the failure that a call must have whatever its arguments are."""
        if self.driver_missing:
            raise Failure("cudaErrorInsufficientDriver")
        if not self.devices:
            raise Failure("cudaErrorNoDevice")
        if self._forced.get(name):
            raise Failure(self._forced[name].pop(0))
        if self._sticky:
            raise Failure(self._sticky)
        if unsafe:
            self.forbid_in_capture(name)

    def failed(self, failure: Failure, name: str) -> IntEnum:
        """Note a failure; return the member of cudaError_t."""
        if failure.fault:
            self.fault(f"{name}: {failure.fault}")
        if failure.error != "cudaErrorNotReady":
            self._last = failure.error
        member: IntEnum = self.enums["cudaError_t"][failure.error]
        return member

    def forbid_in_capture(self, name: str) -> None:
        """Fail, and break the capture, if a capture under way forbids calls that might wait."""
        for capture in self.captures():
            mine = capture.thread == threading.get_ident()
            if capture.mode == "cudaStreamCaptureModeGlobal" or (
                capture.mode == "cudaStreamCaptureModeThreadLocal" and mine
            ):
                capture.broken = f"{name} was called meanwhile"
                raise Failure("cudaErrorStreamCaptureUnsupported", "is not allowed while a stream is being captured")

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
            raise Failure("cudaErrorInvalidResourceHandle", f"{pointer:#x} is no {what}, or one that was destroyed")
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
    def current(self) -> int:
        """Number of the GPU that is current in this thread."""
        return int(getattr(self._local, "device", 0))

    def set_current(self, device: int) -> None:
        """Make a GPU current in this thread."""
        self._local.device = device

    def stream(self, handle: Any) -> Stream:
        """Return the stream behind a handle: 0 and 1 are the legacy default stream of the current GPU."""
        pointer = self.pointer(handle)
        if pointer == 2:  # noqa: SIM300 - cudaStreamPerThread
            raise NotImplementedError("the fake CUDA has no per-thread default stream")
        return self._null[self.current] if pointer in (0, 1) else self.get(handle, Stream, "stream")

    def work_stream(self, handle: Any) -> Stream:
        """Return a stream to put work on. It must belong to the current GPU: stricter than CUDA is for copies."""
        stream = self.stream(handle)
        if stream.device != self.current:
            raise Failure(
                "cudaErrorInvalidResourceHandle",
                f"the stream belongs to GPU {stream.device}, but GPU {self.current} is current",
            )
        if self.is_null(stream):
            for capture in self.captures():
                if capture.origin.blocking and capture.origin.device == stream.device:
                    capture.broken = "the default stream was used meanwhile"
                    raise Failure("cudaErrorStreamCaptureImplicit", "uses the default stream during a capture")
        if stream.capture and stream.capture.broken:
            raise Failure("cudaErrorStreamCaptureInvalidated")
        return stream

    def is_null(self, stream: Stream) -> bool:
        """Whether it is a default stream."""
        return any(stream is one for one in self._null)

    def streams(self) -> Iterator[Stream]:
        """Iterate over all streams."""
        yield from self._null
        yield from [one for one in self._objects.values() if isinstance(one, Stream)]

    def block_of(self, address: int, count: int, what: str) -> Allocation | None:
        """Return the block that a span of memory lies in, or None for memory that CUDA does not know."""
        block = self.memory.around(address)
        if block and not block.holds(Span(address, count)):
            raise Failure(
                "cudaErrorInvalidValue",
                f"{what}: {count} bytes from {address:#x} go beyond the end of their block of {block.size} bytes",
            )
        if block is None and self.memory.was_freed(address):
            raise Failure("cudaErrorInvalidValue", f"{what}: {address:#x} was freed")
        return block

    # Work.

    def enqueue(self, stream: Stream, op: Op) -> None:
        """Put work on a stream: into the graph if it is being captured, else into the queue."""
        if stream.capture:
            stream.capture.add(stream, op)
            return
        if self.is_null(stream):
            for other in self.streams():
                if other.blocking and other is not stream and other.queue and other.device == stream.device:
                    self._push(stream, self.wait_op(other, other.queue[-1]))
        elif stream.blocking and self._null[stream.device].queue:
            null = self._null[stream.device]
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
        return Op("cudaGraphNodeTypeWaitEvent", lambda: self.drain(stream, until=mark))

    def drain(self, stream: Stream, until: Op | None = None) -> None:
        """Do the work of a stream, all of it or up to one piece."""
        while stream.queue and not (until and until.done):
            self.step(stream)

    def step(self, stream: Stream) -> None:
        """Do the next piece of work of a stream."""
        op = stream.queue.popleft()
        self._check_order(stream, op)
        try:
            self._check_memory(op)
            op.run()
        except Failure as failure:
            self._sticky = self._sticky or failure.error
            if failure.fault:
                self.fault(f"work on a stream: {failure.fault}")
        op.done = True

    def _check_order(self, stream: Stream, op: Op) -> None:
        for other in self.streams():
            for earlier in other.queue if other is not stream else ():
                if earlier.number < op.number and (what := op.conflicts(earlier)):
                    self.fault(f"race: {what} is used by two streams, and neither waits for the other")

    def _check_memory(self, op: Op) -> None:
        for span in (*op.reads, *op.writes):
            try:
                self.block_of(span.start, span.size, "at the time of execution")
            except Failure as failure:
                raise Failure("cudaErrorIllegalAddress", failure.fault) from failure

    def forbid_pending(self, block: Allocation) -> None:
        """Note a fault if queued work still needs a block that is being freed; then do that work, as CUDA does."""
        whole = Span(block.address, block.size)
        for stream in self.streams():
            if any(span.overlaps(whole) for op in stream.queue for span in (*op.reads, *op.writes)):
                self.fault(f"memory at {block.address:#x} was freed while queued work used it")
                self.drain(stream)

    @contextmanager
    def on_device(self, device: int) -> Iterator[None]:
        """Make a GPU current for a while."""
        before = self.current
        self.set_current(device)
        try:
            yield
        finally:
            self.set_current(before)


def checked_graph(driver: Driver, handle: Any) -> Graph:
    """Return the graph behind a handle."""
    return driver.get(handle, Graph, "graph")


def checked_exec(driver: Driver, handle: Any) -> GraphExec:
    """Return the executable graph behind a handle."""
    return driver.get(handle, GraphExec, "executable graph")


def checked_event(driver: Driver, handle: Any) -> Event:
    """Return the event behind a handle."""
    return driver.get(handle, Event, "event")
