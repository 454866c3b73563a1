"""Streams, events and graphs of the fake CUDA: work in order, done at once or only when somebody waits for it."""

from __future__ import annotations

import ctypes
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.fakes._memory import Span


@dataclass(eq=False)
class Op:
    """One piece of work on a stream, and at the same time one node of a graph.

    Attributes:
        node: Which kind of graph node it makes, for example ``CU_GRAPH_NODE_TYPE_KERNEL``.
        run: Does it. Raises `Failure` where a GPU would report an error later.
        reads: Memory that it reads.
        writes: Memory that it writes.
        uses: Anything else that two pieces of work must not use at once, such as a TensorRT context.
        number: Counts all work of all streams in the order in which it was queued.
        done: Whether it was done.
    """

    node: str
    run: Callable[[], None]
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    uses: tuple[object, ...] = ()
    number: int = -1
    done: bool = False

    def again(self) -> Op:
        """Return the same work, not yet done: what a graph launch queues."""
        return replace(self, number=-1, done=False)

    def conflicts(self, other: Op) -> str | None:
        """Say what both touch so that their order matters, or None."""
        for mine, theirs in ((self.writes, (*other.reads, *other.writes)), (self.reads, other.writes)):
            for span in mine:
                if any(span.overlaps(one) for one in theirs):
                    return f"memory at {span.start:#x}"
        shared = [one for one in self.uses if any(one is another for another in other.uses)]
        return f"{shared[0]!r}" if shared else None


def copy_op(dst: int, src: int, count: int) -> Op:
    """Return the copy of so many bytes."""
    return Op(
        "CU_GRAPH_NODE_TYPE_MEMCPY",
        lambda: _move(dst, src, count),
        reads=(Span(src, count),),
        writes=(Span(dst, count),),
    )


def _move(dst: int, src: int, count: int) -> None:
    ctypes.memmove(dst, src, count)


@dataclass(eq=False)
class Context:
    """A context on a GPU: the primary one, which all share who ask for it, or one that somebody made for itself.

    Attributes:
        device: Number of the GPU.
        retained: How often it was asked for and not given back, if it is a primary one.
        handle: Its handle.
    """

    device: int
    retained: int = 0
    handle: int = 0


@dataclass(eq=False)
class Stream:
    """A queue of work in one context.

    Attributes:
        context: The context that it was made in.
        blocking: Whether it waits for the legacy default stream, and that one for it.
        queue: Work not yet done.
        capture: The capture that takes its work instead, while there is one.
    """

    context: Context
    blocking: bool
    queue: deque[Op] = field(default_factory=deque)
    capture: Capture | None = None


@dataclass(eq=False)
class Graph:
    """Work in an order that is allowed: that in which it was captured."""

    ops: list[Op] = field(default_factory=list)
    handles: dict[int, Op] = field(default_factory=dict)


@dataclass(eq=False)
class GraphExec:
    """A graph ready to launch: its own copy of the work, by the nodes of the graph that it was made of."""

    ops: dict[int, Op]


@dataclass(eq=False)
class Capture:
    """What is being captured, by whom, on which streams.

    Attributes:
        origin: The stream on which it began.
        mode: Name of the member of CUstreamCaptureMode.
        thread: Who began it.
        graph: What has been captured.
        broken: Why it can no longer succeed, or None.
        last: For each stream that takes part, how many ops there were after its last one.
        joined: For each stream, up to which op another stream waits for it.
    """

    origin: Stream
    mode: str
    thread: int
    graph: Graph = field(default_factory=Graph)
    broken: str | None = None
    streams: list[Stream] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    joined: dict[int, int] = field(default_factory=dict)

    def add(self, stream: Stream, op: Op) -> None:
        """Record one piece of work."""
        self.graph.ops.append(op)
        self.last[id(stream)] = len(self.graph.ops)

    def unjoined(self) -> bool:
        """Whether a stream that was drawn in has work that nothing of the origin waits for."""
        return any(
            self.last.get(id(stream), 0) > self.joined.get(id(stream), -1)
            for stream in self.streams
            if stream is not self.origin
        )


@dataclass(eq=False)
class Event:
    """A point in the work of a stream.

    Attributes:
        context: The context that it was made in.
        timed: Whether it keeps the time.
        mark: The work that it stands for, once recorded.
        stream: The stream on which it was recorded.
        capture: The capture in which it was recorded last, and the number of ops there were, if it was in one.
        at: When its mark was reached, in seconds.
    """

    context: Context
    timed: bool
    mark: Op | None = None
    stream: Stream | None = None
    capture: tuple[Capture, int] | None = None
    at: float | None = None

    def record(self, stream: Stream) -> Op:
        """Return the mark to queue on the stream."""

        def reached() -> None:
            self.at = time.perf_counter()

        self.stream, self.capture, self.at = stream, None, None
        self.mark = Op("CU_GRAPH_NODE_TYPE_EVENT_RECORD", reached)
        return self.mark
