"""Capture, graphs and events of the fake CUDA."""

from __future__ import annotations

import threading
from typing import Any

from tests.fakes._driver import Driver, Failure, checked_event, checked_exec, checked_graph, function
from tests.fakes._memory import Span
from tests.fakes._queue import Capture, Event, Graph, GraphExec, Op, Stream, copy_op

# Names of functions and parameters are CUDA's own.
# ruff: noqa: N802, N803

_DISABLE_TIMING = 2


class Graphs(Driver):
    """The functions about capture, graphs and events."""

    @function()
    def cudaStreamBeginCapture(self, stream: Any, mode: Any) -> None:
        one = self.work_stream(stream)
        if self.is_null(one) or one.capture:
            raise Failure("cudaErrorStreamCaptureUnsupported", "the default stream, or one that is being captured")
        one.capture = Capture(one, self.enums["cudaStreamCaptureMode"](mode.value).name, threading.get_ident())
        one.capture.streams.append(one)

    @function(results=1)
    def cudaStreamEndCapture(self, stream: Any) -> Any:
        one = self.stream(stream)
        capture = one.capture
        if capture is None or capture.origin is not one:
            raise Failure("cudaErrorIllegalState", "no capture began on this stream")
        mine = capture.thread == threading.get_ident()
        if not mine and capture.mode != "cudaStreamCaptureModeRelaxed":
            raise Failure("cudaErrorStreamCaptureWrongThread", "another thread began this capture")
        for member in capture.streams:
            member.capture = None
        if capture.broken:
            raise Failure("cudaErrorStreamCaptureInvalidated")
        if capture.unjoined():
            raise Failure("cudaErrorStreamCaptureUnjoined", "a stream was drawn into the capture and not joined again")
        return self.add("cudaGraph_t", capture.graph)

    @function(results=1)
    def cudaStreamIsCapturing(self, stream: Any) -> Any:
        capture = self.stream(stream).capture
        status = "None" if capture is None else "Invalidated" if capture.broken else "Active"
        return self.enums["cudaStreamCaptureStatus"][f"cudaStreamCaptureStatus{status}"]

    @function(results=1)
    def cudaGraphInstantiate(self, graph: Any, flags: int) -> Any:
        one = checked_graph(self, graph)
        return self.add("cudaGraphExec_t", GraphExec(one, [op.again() for op in one.ops]))

    @function()
    def cudaGraphUpload(self, graphExec: Any, stream: Any) -> None:
        checked_exec(self, graphExec)
        self.work_stream(stream)

    @function()
    def cudaGraphLaunch(self, graphExec: Any, stream: Any) -> None:
        one, target = checked_exec(self, graphExec), self.work_stream(stream)
        # All of it goes in before any is done, as the GPU takes a graph whole.
        lazy, self.lazy = self.lazy, True
        try:
            for op in one.ops:
                self.enqueue(target, op.again())
        finally:
            self.lazy = lazy
        if not lazy:
            self.drain(target)

    @function()
    def cudaGraphExecDestroy(self, graphExec: Any) -> None:
        checked_exec(self, graphExec)
        self.remove(graphExec)

    @function()
    def cudaGraphDestroy(self, graph: Any) -> None:
        one = checked_graph(self, graph)
        for pointer in one.handles:
            self.remove(pointer)
        self.remove(graph)

    @function(results=2)
    def cudaGraphGetNodes(self, graph: Any, numNodes: int = 0) -> Any:
        one = checked_graph(self, graph)
        if not numNodes:
            return [], len(one.ops)
        self._number_nodes(one)
        handles = list(one.handles)[:numNodes]
        return [self.classes["cudaGraphNode_t"](pointer) for pointer in handles], len(handles)

    @function(results=1)
    def cudaGraphNodeGetType(self, node: Any) -> Any:
        return self.enums["cudaGraphNodeType"][self.get(node, Op, "node").node]

    @function()
    def cudaGraphExecMemcpyNodeSetParams1D(
        self, hGraphExec: Any, node: Any, dst: Any, src: Any, count: int, kind: Any
    ) -> None:
        one, op = checked_exec(self, hGraphExec), self.get(node, Op, "node")
        index = one.index_of(op)
        if index is None or not op.node.endswith("Memcpy"):
            raise Failure("cudaErrorInvalidValue", "the node is no copy of the graph that this one was made from")
        new = copy_op(self.pointer(dst), self.pointer(src), count)
        self.check_copy(new, kind, pageable=False)
        for mine, theirs in zip((*new.reads, *new.writes), (*op.reads, *op.writes), strict=True):
            if self._kind_at(mine) != self._kind_at(theirs):
                raise Failure("cudaErrorInvalidValue", "a copy may not change between host and device memory")
        one.ops[index] = new

    @function(results=1)
    def cudaEventCreateWithFlags(self, flags: int) -> Any:
        return self.add("cudaEvent_t", Event(self.current, timed=not flags & _DISABLE_TIMING))

    @function(results=1)
    def cudaEventCreate(self) -> Any:
        return self.add("cudaEvent_t", Event(self.current, timed=True))

    @function()
    def cudaEventDestroy(self, event: Any) -> None:
        checked_event(self, event)
        self.remove(event)

    @function()
    def cudaEventRecord(self, event: Any, stream: Any) -> None:
        one, target = checked_event(self, event), self.work_stream(stream)
        if one.device != target.device:
            raise Failure("cudaErrorInvalidResourceHandle", f"the event belongs to GPU {one.device}, not this stream's")
        if target.capture:
            one.capture = (target.capture, len(target.capture.graph.ops))
            one.stream = target
            return
        self.enqueue(target, one.record(target))

    @function()
    def cudaStreamWaitEvent(self, stream: Any, event: Any, flags: int) -> None:
        one, target = checked_event(self, event), self.work_stream(stream)
        if one.capture:
            self._join(target, one)
        elif target.capture:
            target.capture.broken = "it waited for an event outside"
            raise Failure("cudaErrorStreamCaptureIsolation", "a captured stream waits for work outside of its graph")
        elif one.mark and one.stream is not None and not one.mark.done:
            self.enqueue(target, self.wait_op(one.stream, one.mark))

    @function(unsafe=True)
    def cudaEventSynchronize(self, event: Any) -> None:
        one = self._event_outside(event)
        if one.mark and one.stream is not None:
            self.drain(one.stream, until=one.mark)
            self.raise_sticky()

    @function(unsafe=True)
    def cudaEventQuery(self, event: Any) -> None:
        one = self._event_outside(event)
        if one.mark and one.stream is not None and not one.mark.done:
            self.step(one.stream)  # time goes by
            if not one.mark.done:
                raise Failure("cudaErrorNotReady")

    @function(results=1)
    def cudaEventElapsedTime(self, start: Any, end: Any) -> Any:
        first, last = self._event_outside(start), self._event_outside(end)
        if not (first.timed and last.timed and first.mark and last.mark):
            raise Failure("cudaErrorInvalidResourceHandle", "an event without a time, or that was never recorded")
        if first.at is None or last.at is None:
            raise Failure("cudaErrorNotReady")
        return (last.at - first.at) * 1e3

    def raise_sticky(self) -> None:
        """Raise what went wrong in work that was queued before."""
        if self._sticky:
            raise Failure(self._sticky)

    def check_copy(self, op: Op, kind: Any, *, pageable: bool) -> bool:
        """Check both ends of a copy against its direction; return whether one of them is ordinary host memory."""
        (read,), (write,) = op.reads, op.writes
        ends = [self._kind_at(read), self._kind_at(write)]
        for span, what in ((read, "the source"), (write, "the destination")):
            self.block_of(span.start, span.size, what)
        direction = self.enums["cudaMemcpyKind"](kind.value).name.removeprefix("cudaMemcpy")
        actual = ["Device" if end == "device" else "Host" for end in ends]
        if direction != "Default" and direction != "To".join(actual):
            raise Failure("cudaErrorInvalidValue", f"a copy {'To'.join(actual)} was called {direction}")
        if not pageable and "pageable" in ends:
            raise Failure("cudaErrorInvalidValue", "one end of the copy is neither device nor pinned memory")
        return "pageable" in ends

    def _kind_at(self, span: Span) -> str:
        block = self.memory.around(span.start)
        return block.kind if block else "pageable"

    def _number_nodes(self, graph: Graph) -> None:
        if not graph.handles:
            graph.handles = {int(self.add("cudaGraphNode_t", op)): op for op in graph.ops}

    def _event_outside(self, handle: Any) -> Event:
        one = checked_event(self, handle)
        if one.capture:
            raise Failure("cudaErrorCapturedEvent", "the event was recorded in a capture: it marks no point in time")
        return one

    def _join(self, stream: Stream, event: Event) -> None:
        assert event.capture is not None
        assert event.stream is not None
        capture, count = event.capture
        if stream.capture not in (None, capture):
            raise Failure("cudaErrorStreamCaptureMerge", "the event belongs to another capture")
        if stream.capture is None:
            stream.capture = capture
            capture.streams.append(stream)
        capture.joined[id(event.stream)] = max(count, capture.joined.get(id(event.stream), 0))
