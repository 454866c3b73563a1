"""Where passes compute one after the other, while what the one gave and what the next takes is copied beside it.

Two lanes share a compute queue: each has memory and a stream for the copies of its own, and runs one call at a time. A
call that finds the other lane at rest goes through its own stream whole. Otherwise its inputs travel in that stream,
the computation waits for them, and for its turn, in the queue's, and the results leave in its own again: the GPU is
never idle while there is work, with a single execution context.
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
"""How many shapes of inputs a lane keeps ready; the one used longest ago makes room for a new one."""


class Closable(Protocol):
    """What a lane keeps ready."""

    def close(self) -> None:
        """Let go of what it holds."""


Ready = TypeVar("Ready", bound=Closable)


class ComputeQueue(Generic[Ready]):
    """A stream to compute in and memory for it, with the lanes that use them in turn.

    Attributes:
        lock: Held while work is queued. What is queued under it computes in that order.
        stream: Where it computes when both lanes have work.
        scratch: Address of the memory that it computes in.
        own: What computes in this queue alone, if anything does; it sees to it that the stream is closed.
        lanes: The two.
    """

    own: Any = None

    def __init__(self, device: Device, scratch_bytes: int) -> None:
        """Make a queue with nothing in it."""
        self.lock = threading.Lock()
        self.stream = Stream(device)
        self._scratch = device.device_block(scratch_bytes)
        self.scratch = self._scratch.address
        first, second = Lane[Ready](self, device), Lane[Ready](self, device)
        first.other, second.other = second, first
        self.lanes: tuple[Lane[Ready], ...] = (first, second)

    def settle(self) -> None:
        """Wait until nothing runs any more; whatever went wrong with it is told to those who wait for it."""
        for stream in (self.stream, *(lane.stream for lane in self.lanes)):
            with suppress(OnepassError):
                stream.synchronize()

    def close(self) -> None:
        """Let go of everything; results that are still held keep their memory."""
        self.settle()
        for lane in self.lanes:
            lane.close()
        if self.own is None:
            self.stream.close()
        self.own = None
        self.lanes = ()
        del self._scratch


class Lane(Generic[Ready]):
    """Runs one call at a time. Whoever has it may use it; all that queues work holds the queue's lock.

    Attributes:
        queue: Where it computes.
        other: The other lane of that queue.
        home: Where it goes back to when a call has ended; see `Lanes`.
        group: The lanes of its GPU.
        stream: Where its copies run.
        passes: What it keeps ready, by the shapes of the inputs; that used last is at the end.
        last_key, last: What was used last, and for what.
        is_busy: Whether something may be under way. It stays so after an exception, which may come at any time from a
            signal handler; the next call then waits first.
        is_whole: Whether that computes in the lane's own stream.
        copying: Copies large arrays on the host.
        held: What the GPU is going to read and write; it stays alive until that has happened, whatever becomes of the
            call.
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
        """Begin a call: from here on something may be under way."""
        if self.is_busy:
            self.settle()
        self.is_busy = True

    def settle(self) -> None:
        """Wait for what a call left under way that was broken off."""
        self.copying.finish()
        self.queue.settle()
        self.is_busy = self.is_whole = False

    def finish(self) -> None:
        """Wait for the results."""
        self.stream.synchronize()
        self.is_busy = self.is_whole = False
        self.held = None

    def launch_whole(self, graph: Graph) -> None:
        """Queue all of a call, or its computation, in the lane's own stream; the other lane is at rest."""
        self.is_whole = True
        self.stream.launch(graph)

    def launch_beside(self, graph: Graph) -> None:
        """Queue a computation behind what the queue has; it begins when the inputs are there."""
        queue = self.queue.stream
        self.stream.signal(self._copied)
        queue.wait(self._copied)
        self.yield_to_other()
        queue.launch(graph)
        self.follow_queue()

    def follow_queue(self) -> None:
        """Let `finish` wait for what is queued in the queue's stream by now."""
        self.queue.stream.signal(self._computed)
        self.stream.wait(self._computed)

    def yield_to_other(self) -> None:
        """Let what is queued in the queue's stream come after what the other lane queued in its own."""
        other = self.other
        if other.is_busy and other.is_whole:
            other.stream.signal(self._passed)
            self.queue.stream.wait(self._passed)

    def ready(self, key: Hashable) -> Ready | None:
        """Return the pass that is kept for a shape of inputs, if there is one."""
        found = self.passes.get(key)
        if found is not None:
            self.passes.move_to_end(key)
            self.last_key, self.last = key, found
        return found

    def keep(self, key: Hashable, ready: Ready) -> None:
        """Keep a pass ready; the one used longest ago goes. The lane is at rest."""
        self.passes[key] = ready
        self.last_key, self.last = key, ready
        if len(self.passes) > _PASSES:
            self.passes.popitem(last=False)[1].close()

    def close(self) -> None:
        """Let go of its passes and its stream."""
        while self.passes:
            self.passes.popitem()[1].close()
        self.last = None
        self.stream.close()
        del self.held, self._copied, self._computed, self._passed, self.other, self.home, self.group
