"""A queue in which passes compute one after the other, while the inputs and results of other passes are copied.

Two lanes share a compute queue. Each has its own memory and a stream for copies, and runs one call at a time. If the
other lane is idle, a call runs completely in its own stream. Otherwise its inputs are copied in its own stream, the
computation waits for them and for its turn in the queue's stream, and the results are copied in its own stream again.
So a single execution context keeps the GPU busy as long as there is work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from onepass._errors import OnepassError
from onepass.runtime.cuda.copying import Copying
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.graph import Graph
from onepass.runtime.cuda.stream import Event, Stream

_PASSES = 8
"""Number of input shapes that a lane keeps ready; the least recently used makes room for a new one."""


class Closable(Protocol):
    """A pass that a lane keeps ready."""

    def close(self) -> None:
        """Free its resources."""


Ready = TypeVar("Ready", bound=Closable)


class ComputeQueue(Generic[Ready]):
    """A stream and scratch memory for computations, with the lanes that use them in turn.

    Attributes:
        lock: Held while work is queued; the work computes in the order in which it is queued.
        stream: The stream for computations when both lanes have work.
        scratch: Address of the scratch memory.
        own: The object that computes only in this queue, if there is one; it closes the stream.
        lanes: The two lanes.
    """

    own: Any = None

    def __init__(self, device: Device, scratch_bytes: int) -> None:
        """Create an empty queue."""
        self.lock = threading.Lock()
        self.stream = Stream(device)
        self._scratch = device.device_block(scratch_bytes)
        self.scratch = self._scratch.address
        first, second = Lane[Ready](self, device), Lane[Ready](self, device)
        first.other, second.other = second, first
        self.lanes: tuple[Lane[Ready], ...] = (first, second)

    def settle(self) -> None:
        """Wait until nothing is running; errors are reported to the calls that wait for the results."""
        for stream in (self.stream, *(lane.stream for lane in self.lanes)):
            with suppress(OnepassError):
                stream.synchronize()

    def close(self) -> None:
        """Free all resources; results that are still referenced keep their memory."""
        self.settle()
        for lane in self.lanes:
            lane.close()
        if self.own is None:
            self.stream.close()
        self.own = None
        self.lanes = ()
        del self._scratch


class Lane(Generic[Ready]):
    """Runs one call at a time. Only its holder may use it; code that queues work holds the queue's lock.

    Attributes:
        queue: The queue that it computes in.
        other: The other lane of the queue.
        home: The pool that it returns to after a call; see `Lanes`.
        group: The lanes of its GPU.
        stream: The stream for its copies.
        passes: Passes that are ready, by input shapes; the most recently used is last.
        last_key, last: The most recently used pass, and its input shapes.
        is_busy: Whether work may be running. It stays true after an exception, which a signal handler may raise at any
            time; the next call then waits for this work first.
        is_whole: Whether the running work computes in the lane's own stream.
        copying: Copies large arrays on the host.
        held: Memory that the GPU will read or write; it stays alive until this has happened, even if the call fails.
    """

    home: deque[Lane[Ready]]
    group: Any
    other: Lane[Ready]

    def __init__(self, queue: ComputeQueue[Ready], device: Device) -> None:
        self.queue = queue
        self.stream = Stream(device)
        self.passes: OrderedDict[Hashable, Ready] = OrderedDict()
        self.last_key: Hashable = None
        self.last: Ready | None = None
        self.is_busy = False
        self.is_whole = False
        self.held: object = None
        self.copying = Copying()
        self._copied, self._computed, self._passed = Event(device), Event(device), Event(device)

    def begin(self) -> None:
        """Start a call: from now on, work may be running."""
        if self.is_busy:
            self.settle()
        self.is_busy = True

    def settle(self) -> None:
        """Wait for the work of an interrupted call."""
        self.copying.finish()
        self.queue.settle()
        self.is_busy = self.is_whole = False

    def finish(self) -> None:
        """Wait for the results."""
        self.stream.synchronize()
        self.is_busy = self.is_whole = False
        self.held = None

    def launch_whole(self, graph: Graph) -> None:
        """Queue a complete call, or its computation, in the lane's own stream; the other lane is idle."""
        self.is_whole = True
        self.stream.launch(graph)

    def launch_beside(self, graph: Graph) -> None:
        """Queue a computation after the queue's other work; it starts when the inputs have arrived."""
        queue = self.queue.stream
        self.stream.signal(self._copied)
        queue.wait(self._copied)
        self.yield_to_other()
        queue.launch(graph)
        self.follow_queue()

    def follow_queue(self) -> None:
        """Let `finish` wait for all work that is now queued in the queue's stream."""
        self.queue.stream.signal(self._computed)
        self.stream.wait(self._computed)

    def yield_to_other(self) -> None:
        """Make later work in the queue's stream wait for work in the other lane's own stream."""
        other = self.other
        if other.is_busy and other.is_whole:
            other.stream.signal(self._passed)
            self.queue.stream.wait(self._passed)

    def ready(self, key: Hashable) -> Ready | None:
        """Return the pass that is kept for these input shapes, if there is one."""
        found = self.passes.get(key)
        if found is not None:
            self.passes.move_to_end(key)
            self.last_key, self.last = key, found
        return found

    def keep(self, key: Hashable, ready: Ready) -> None:
        """Keep a pass ready; the least recently used one makes room. No work may be running in the lane."""
        self.passes[key] = ready
        self.last_key, self.last = key, ready
        if len(self.passes) > _PASSES:
            self.passes.popitem(last=False)[1].close()

    def close(self) -> None:
        """Close the passes and the stream."""
        while self.passes:
            self.passes.popitem()[1].close()
        self.last = None
        self.stream.close()
        del self.held, self._copied, self._computed, self._passed, self.other, self.home, self.group
