"""Capture, graphs and events of the fake CUDA."""

from __future__ import annotations

import threading
from typing import Any

from tests.fakes._driver import Driver, Failure, function
from tests.fakes._memory import Span
from tests.fakes._queue import Capture, Event, Graph, GraphExec, Op, Stream, copy_op

# Names of functions and parameters are CUDA's own.
# ruff: noqa: N802, N803


class Graphs(Driver):
    """The functions about capture, graphs and events."""

    @function()
    def cuStreamBeginCapture(self, hStream: Any, mode: Any) -> None:
        one = self.work_stream(hStream)
        if self.is_null(one) or one.capture:
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "the default stream, or one that is being captured")
        one.capture = Capture(one, self.enums["CUstreamCaptureMode"](mode.value).name, threading.get_ident())
        one.capture.streams.append(one)

    @function(results=1)
    def cuStreamEndCapture(self, hStream: Any) -> Any:
        one = self.stream(hStream)
        capture = one.capture
        if capture is None or capture.origin is not one:
            raise Failure("CUDA_ERROR_ILLEGAL_STATE", "no capture began on this stream")
        mine = capture.thread == threading.get_ident()
        if not mine and capture.mode != "CU_STREAM_CAPTURE_MODE_RELAXED":
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "another thread began this capture")
        for member in capture.streams:
            member.capture = None
        if capture.broken:
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")
        if capture.unjoined():
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "a stream was drawn in and not joined again")
        return self.add("CUgraph", capture.graph)

    @function(results=1)
    def cuStreamIsCapturing(self, hStream: Any) -> Any:
        capture = self.stream(hStream).capture
        status = "NONE" if capture is None else "INVALIDATED" if capture.broken else "ACTIVE"
        return self.enums["CUstreamCaptureStatus"][f"CU_STREAM_CAPTURE_STATUS_{status}"]

    @function(results=1)
    def cuGraphInstantiate(self, hGraph: Any, flags: int) -> Any:
        one = self.get(hGraph, Graph, "graph")
        self._number_nodes(one)
        return self.add("CUgraphExec", GraphExec({node: op.again() for node, op in one.handles.items()}))

    @function()
    def cuGraphUpload(self, hGraphExec: Any, hStream: Any) -> None:
        self.get(hGraphExec, GraphExec, "executable graph")
        self.work_stream(hStream)

    @function()
    def cuGraphLaunch(self, hGraphExec: Any, hStream: Any) -> None:
        one, target = self.get(hGraphExec, GraphExec, "executable graph"), self.work_stream(hStream)
        # All of it goes in before any is done, as the GPU takes a graph whole.
        lazy, self.lazy = self.lazy, True
        try:
            for op in one.ops.values():
                self.enqueue(target, op.again())
        finally:
            self.lazy = lazy
        if not lazy:
            self.drain(target)

    @function()
    def cuGraphExecDestroy(self, hGraphExec: Any) -> None:
        self.get(hGraphExec, GraphExec, "executable graph")
        self.remove(hGraphExec)

    @function()
    def cuGraphDestroy(self, hGraph: Any) -> None:
        one = self.get(hGraph, Graph, "graph")
        for pointer in one.handles:
            self.remove(pointer)
        self.remove(hGraph)

    @function(results=2)
    def cuGraphGetNodes(self, hGraph: Any, numNodes: int = 0) -> Any:
        one = self.get(hGraph, Graph, "graph")
        if not numNodes:
            return [], len(one.ops)
        self._number_nodes(one)
        handles = list(one.handles)[:numNodes]
        return [self.classes["CUgraphNode"](pointer) for pointer in handles], len(handles)

    @function(results=1)
    def cuGraphNodeGetType(self, hNode: Any) -> Any:
        return self.enums["CUgraphNodeType"][self.get(hNode, Op, "node").node]

    @function(results=1)
    def cuGraphMemcpyNodeGetParams(self, hNode: Any) -> Any:
        one = self._copying(hNode)
        params = self.classes["CUDA_MEMCPY3D"]()
        for end, spans in (("src", one.reads), ("dst", one.writes)):
            span = spans[0] if spans else Span(0, 0)
            kind = "UNIFIED" if self.unified_nodes else "DEVICE" if self._kind_at(span) == "device" else "HOST"
            setattr(params, f"{end}MemoryType", self.enums["CUmemorytype"][f"CU_MEMORYTYPE_{kind}"])
            setattr(params, f"{end}{'Host' if kind == 'HOST' else 'Device'}", span.start)
            params.WidthInBytes, params.Height, params.Depth = span.size, 1, 1
        return params

    @function()
    def cuGraphExecMemcpyNodeSetParams(self, hGraphExec: Any, hNode: Any, copyParams: Any, ctx: Any) -> None:
        one, node = self.get(hGraphExec, GraphExec, "executable graph"), self.pointer(hNode)
        old, host = self._copying(hNode), self.enums["CUmemorytype"].CU_MEMORYTYPE_HOST
        if node not in one.ops:
            raise Failure("CUDA_ERROR_INVALID_VALUE", "the node is of another graph")
        source, target = (
            self.pointer(
                getattr(copyParams, f"{end}{'Host' if getattr(copyParams, f'{end}MemoryType') == host else 'Device'}")
            )
            for end in ("src", "dst")
        )
        new = copy_op(target, source, copyParams.WidthInBytes)
        self.check_copy(new, None)
        if self._kinds_of(new) != self._kinds_of(old):
            raise Failure("CUDA_ERROR_INVALID_VALUE", "the memory is of another kind than when it was instantiated")
        one.ops[node] = new

    @function(results=1)
    def cuEventCreate(self, Flags: int) -> Any:
        timed = not Flags & self.enums["CUevent_flags"].CU_EVENT_DISABLE_TIMING
        return self.add("CUevent", Event(self.here, timed=timed))

    @function()
    def cuEventDestroy(self, hEvent: Any) -> None:
        self.get(hEvent, Event, "event")
        self.remove(hEvent)

    @function()
    def cuEventRecord(self, hEvent: Any, hStream: Any) -> None:
        one, target = self.get(hEvent, Event, "event"), self.work_stream(hStream)
        if one.context is not target.context:
            raise Failure("CUDA_ERROR_INVALID_HANDLE", "the event belongs to another context than the stream")
        if target.capture:
            one.capture = (target.capture, len(target.capture.graph.ops))
            one.stream = target
            return
        self.enqueue(target, one.record(target))

    @function()
    def cuStreamWaitEvent(self, hStream: Any, hEvent: Any, Flags: int) -> None:
        one, target = self.get(hEvent, Event, "event"), self.work_stream(hStream)
        if one.capture:
            self._join(target, one)
        elif target.capture:
            target.capture.broken = "it waited for an event outside"
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "a captured stream waits for work outside")
        elif one.mark and one.stream is not None and not one.mark.done:
            self.enqueue(target, self.wait_op(one.stream, one.mark))

    @function(unsafe=True)
    def cuEventSynchronize(self, hEvent: Any) -> None:
        one = self._event_outside(hEvent)
        if one.mark and one.stream is not None:
            self.drain(one.stream, until=one.mark)
            self.raise_sticky()

    @function(unsafe=True)
    def cuEventQuery(self, hEvent: Any) -> None:
        one = self._event_outside(hEvent)
        if one.mark and one.stream is not None and not one.mark.done:
            self.step(one.stream)  # time goes by
            if not one.mark.done:
                raise Failure("CUDA_ERROR_NOT_READY")

    @function(results=1)
    def cuEventElapsedTime(self, hStart: Any, hEnd: Any) -> Any:
        first, last = self._event_outside(hStart), self._event_outside(hEnd)
        if not (first.timed and last.timed and first.mark and last.mark):
            raise Failure("CUDA_ERROR_INVALID_HANDLE", "an event without a time, or that was never recorded")
        if first.at is None or last.at is None:
            raise Failure("CUDA_ERROR_NOT_READY")
        return (last.at - first.at) * 1e3

    def check_copy(self, op: Op, direction: str | None) -> bool:
        """Check both ends of a copy, and its direction if it names one (``"HtoD"``).

        Returns whether one end is ordinary host memory.
        """
        (read,), (write,) = op.reads, op.writes
        ends = [self._kind_at(read), self._kind_at(write)]
        for span, what in ((read, "the source"), (write, "the destination")):
            self.block_of(span.start, span.size, what)
        actual = "to".join("D" if end == "device" else "H" for end in ends)
        if direction not in (None, actual):
            raise Failure("CUDA_ERROR_INVALID_VALUE", f"a copy {actual} was called {direction}")
        return "pageable" in ends

    def _kind_at(self, span: Span) -> str:
        block = self.memory.around(span.start)
        return block.kind if block else "pageable"

    def _kinds_of(self, op: Op) -> list[str]:
        return [self._kind_at(span) for span in (*op.reads, *op.writes)]

    def _copying(self, node: Any) -> Op:
        one = self.get(node, Op, "node")
        if not one.node.endswith("MEMCPY"):
            raise Failure("CUDA_ERROR_INVALID_VALUE", "the node copies nothing")
        return one

    def _number_nodes(self, graph: Graph) -> None:
        if not graph.handles:
            graph.handles = {int(self.add("CUgraphNode", op)): op for op in graph.ops}

    def _event_outside(self, handle: Any) -> Event:
        one = self.get(handle, Event, "event")
        if one.capture:
            raise Failure("CUDA_ERROR_CAPTURED_EVENT", "the event was recorded in a capture: it marks no point in time")
        return one

    def _join(self, stream: Stream, event: Event) -> None:
        assert event.capture is not None
        assert event.stream is not None
        capture, count = event.capture
        if stream.capture not in (None, capture):
            raise Failure("CUDA_ERROR_STREAM_CAPTURE_MERGE", "the event belongs to another capture")
        if stream.capture is None:
            stream.capture = capture
            capture.streams.append(stream)
        capture.joined[id(event.stream)] = max(count, capture.joined.get(id(event.stream), 0))
