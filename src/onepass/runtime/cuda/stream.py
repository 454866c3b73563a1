"""CUDA streams, in which work is queued or recorded, and events, by which streams wait for each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from onepass._errors import BackendError
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import describe
from onepass.runtime.cuda.graph import Graph


class Stream:
    """A queue of work for one GPU. Its methods require the GPU to be current on the calling thread.

    It does not synchronise with CUDA's default stream: otherwise, code that uses the default stream while a pass is
    being recorded would get an error.

    Attributes:
        device: The GPU.
        number: The handle as a number, for TensorRT.
    """

    def __init__(self, device: Device) -> None:
        """Make one on a GPU."""
        self.device = device
        self._driver = driver = device.driver
        with device.current():
            self._handle = device.call(driver.cuStreamCreate, driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
        self.number = int(self._handle)
        self._finalizer = device.freed_with(self, driver.cuStreamDestroy, self._handle)

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        """Queue a copy between two addresses, on the host or on the GPU."""
        if size_bytes:
            self.device.call(self._driver.cuMemcpyAsync, target, source, size_bytes, self._handle)

    def synchronize(self) -> None:
        """Wait until everything queued is done; other Python threads run meanwhile."""
        (status,) = self._driver.cuStreamSynchronize(self._handle)
        if status:
            raise BackendError(f"the GPU failed while it computed: {describe(self._driver, status)}")

    def wait_for(self, other: int) -> None:
        """Make later work wait for all current work of another stream, given by its number."""
        event = Event(self.device)
        self.device.call(self._driver.cuEventRecord, event.handle, self._driver.CUstream(other))
        self.wait(event)

    def signal(self, event: Event) -> None:
        """Record an event after all work queued so far."""
        self.device.call(self._driver.cuEventRecord, event.handle, self._handle)

    def wait(self, event: Event) -> None:
        """Make later work wait for an event."""
        self.device.call(self._driver.cuStreamWaitEvent, self._handle, event.handle, 0)

    def mark(self) -> Any:
        """Queue an event that records the time; see `milliseconds`."""
        event = self.device.call(self._driver.cuEventCreate, self._driver.CUevent_flags.CU_EVENT_DEFAULT)
        self.device.call(self._driver.cuEventRecord, event, self._handle)
        return event

    def milliseconds(self, *marks: Any) -> list[float]:
        """Return the times between completed marks, and free the marks."""
        elapsed = self._driver.cuEventElapsedTime
        times = [float(self.device.call(elapsed, first, second)) for first, second in itertools.pairwise(marks)]
        for mark in marks:
            self.device.call(self._driver.cuEventDestroy, mark)
        return times

    def record(self, work: Callable[[], object]) -> Graph:
        """Record the work that a function queues on this stream, instead of running it.

        Args:
            work: The function.

        Raises:
            BackendError: Some work cannot be recorded. The stream is unchanged.
            Exception: The function raised it.
        """
        driver = self._driver
        # Thread-local: other threads may allocate meanwhile, and work of this one that cannot be recorded is refused.
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        try:
            self.device.capturing.now = True
            self.device.call(driver.cuStreamBeginCapture, self._handle, mode)
            work()
            graph = self.device.call(driver.cuStreamEndCapture, self._handle)
        except BaseException:
            self._stop_recording()
            raise
        finally:
            self.device.capturing.now = False
        return Graph(self.device, graph)

    def _stop_recording(self) -> None:
        _, state = self._driver.cuStreamIsCapturing(self._handle)
        if state:
            status, graph = self._driver.cuStreamEndCapture(self._handle)
            if not status and int(graph):
                self.device.call(self._driver.cuGraphDestroy, graph)

    def launch(self, graph: Graph) -> None:
        """Queue a recording."""
        (status,) = self._driver.cuGraphLaunch(graph.handle, self._handle)
        if status:
            raise BackendError(f"the GPU does not start the recorded pass: {describe(self._driver, status)}")

    def close(self) -> None:
        """Destroy the stream."""
        self._finalizer()


class Event:
    """A reusable point in a stream's work that other streams can wait for.

    Attributes:
        handle: The driver's.
    """

    def __init__(self, device: Device) -> None:
        """Make one on a GPU."""
        driver = device.driver
        with device.current():
            self.handle = device.call(driver.cuEventCreate, driver.CUevent_flags.CU_EVENT_DISABLE_TIMING)
        device.freed_with(self, driver.cuEventDestroy, self.handle)
