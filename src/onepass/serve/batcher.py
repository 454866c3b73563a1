"""A model's request queue: compatible requests are computed in one pass."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from onepass._errors import RunTimeoutError
from onepass._printable import counted
from onepass.outputs import Array
from onepass.runtime import Session
from onepass.serve.faults import Fault, Kind
from onepass.serve.limits import Limits

log = logging.getLogger("onepass.serve")

Observe: TypeAlias = Callable[[int, float, bool], None]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a request.

    Attributes:
        outputs: Arrays by name; views into the batch's outputs if the request was batched.
        queue_seconds: Time spent in the queue.
        pass_seconds: Duration of the pass that computed the request.
    """

    outputs: Mapping[str, Array]
    queue_seconds: float
    pass_seconds: float


@dataclass(eq=False, slots=True)
class _Waiting:
    """A queued request. Requests with equal `key` can share a batch; a request with key None is never batched."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    key: tuple[Any, ...] | None
    rows: int
    future: asyncio.Future[Done]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Run the requests for one model: as many concurrent passes as there are lanes, each with as many requests as fit.

    While passes run, requests collect in the queue, so the busier a model is, the larger its batches are. A single
    request never waits, unless `Limits.max_delay_ms` is set. Passes run in threads that take the next requests from the
    queue themselves, so a busy event loop never keeps a model idle. Event loops may follow one another, as those of
    servers with the same models do: a pass outlives the loop whose request it computes.
    """

    def __init__(self, session: Session, limits: Limits, *, most_rows: int, passes: int, observe: Observe) -> None:
        """Create a queue for a session.

        Args:
            session: The model.
            limits: Maximum queue length, and how long a request waits for others.
            most_rows: Maximum rows per pass; 1 if rows cannot be batched.
            passes: Number of concurrent passes.
            observe: Called after each pass with its rows, its seconds, and whether it succeeded.
        """
        self._session = session
        self._limits = limits
        self._most_rows = most_rows
        self._observe = observe
        self._line: deque[_Waiting] = deque()
        self._lock = Lock()  # guards the line, the number of passes, and closing
        self._passes = 0
        self._most_passes = passes
        self._threads = ThreadPoolExecutor(self._most_passes, thread_name_prefix="onepass-pass")
        self._loop: asyncio.AbstractEventLoop | None = None  # that of the last request
        self._timer: asyncio.TimerHandle | None = None
        self._going_on = False
        self._closing = False

    @property
    def waiting(self) -> int:
        """Number of queued requests."""
        return len(self._line)

    def check_room(self) -> None:
        """Refuse a request that has no room in the queue, before its body is read.

        Raises:
            Fault: The queue is full, or the server is stopping.
        """
        if self._closing:
            raise Fault(Kind.STOPPING, "the server is stopping; retry later, or use another server")
        if len(self._line) >= self._limits.max_queue:
            raise Fault(
                Kind.OVERLOADED, f"the queue is full ({counted(len(self._line), 'request')} waiting); retry later"
            )

    async def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> Done:
        """Return the model's outputs for these inputs; a cancelled caller leaves the queue.

        Args:
            inputs: Arrays by name, unchecked.
            outputs: Names of outputs, in the model's order.

        Raises:
            Fault: The queue is full.
            OnepassError: The session's error.
        """
        loop = asyncio.get_running_loop()
        key, rows = self._key(inputs, outputs)
        waiting = _Waiting(inputs, outputs, key, rows, loop.create_future())
        with self._lock:
            self.check_room()
            self._line.append(waiting)
        # At the end of this loop iteration, so that requests that arrive in it share a pass.
        if not self._going_on or loop is not self._loop:
            self._going_on, self._loop = True, loop
            loop.call_soon(self._go_on)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            with self._lock, suppress(ValueError):  # its pass is running already
                self._line.remove(waiting)
            raise

    def close(self) -> None:
        """Accept no more requests, and compute those in the queue."""
        with self._lock:
            self._closing = True
        self._start()  # requests that wait for others
        self._threads.shutdown()

    def _key(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[tuple[Any, ...] | None, int]:
        """Return a request's batching key and its number of rows."""
        rows = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
        if self._most_rows == 1 or len(rows) != 1 or not 0 < (count := rows.pop()) < self._most_rows:
            return None, 1
        tensors = sorted((name, array.dtype.str, array.shape[1:]) for name, array in inputs.items())
        return (asyncio.get_running_loop(), outputs, *tensors), count

    def _go_on(self) -> None:
        """Start passes, now and when the first request has waited long enough for others."""
        self._going_on = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait = self._start()
        if wait:
            self._timer = asyncio.get_running_loop().call_later(wait, self._go_on)

    def _start(self) -> float:
        """Start passes while there are requests and free lanes; return how many seconds the next one may wait."""
        with self._lock:
            while self._passes < self._most_passes:
                taken, wait = self._next()
                if not taken:
                    return wait
                self._passes += 1
                self._threads.submit(self._work, taken)
            return 0.0

    def _next(self) -> tuple[list[_Waiting], float]:
        """Take the requests of the next pass from the queue, or return how many seconds the pass may wait for more."""
        if not self._line:
            return [], 0.0
        taken = self._first_that_fit()
        wait = self._patience(taken)
        if wait > 0:
            return [], wait
        for each in taken:
            self._line.remove(each)
        return taken, 0.0

    def _first_that_fit(self) -> list[_Waiting]:
        """Return the first queued request, and the later ones that can share its pass."""
        first = self._line[0]
        if first.key is None:
            return [first]
        taken, rows = [], 0
        for each in self._line:
            if each.key == first.key and rows + each.rows <= self._most_rows:
                taken.append(each)
                rows += each.rows
                if rows == self._most_rows:
                    break
        return taken

    def _patience(self, taken: Sequence[_Waiting]) -> float:
        """Return how many seconds a pass may wait for more requests."""
        first = taken[0]
        if not self._limits.max_delay_ms or first.key is None or self._closing:
            return 0.0
        if sum(each.rows for each in taken) >= self._most_rows:
            return 0.0
        return first.since + self._limits.max_delay_ms / 1e3 - time.perf_counter()

    def _work(self, taken: list[_Waiting]) -> None:
        """Run passes in a worker thread until no request is ready; then free the lane."""
        while taken:
            begun = time.perf_counter()
            found = self._pass(taken)
            loop = taken[0].future.get_loop()
            _call(loop, self._passed, taken, found, begun, time.perf_counter() - begun)
            with self._lock:
                taken, wait = self._next()
                self._passes -= not taken
        if wait and self._loop is not None:
            _call(self._loop, self._go_on)

    def _pass(self, taken: Sequence[_Waiting]) -> list[Mapping[str, Array] | Exception]:
        """Run one pass; an error is assigned to the request that caused it."""
        if len(taken) > 1:
            try:
                return self._joined(taken)
            except RunTimeoutError as error:
                return [error] * len(taken)
            except BaseException:  # noqa: BLE001 - one of the requests caused it
                log.debug("a batch of %d requests failed; running each request by itself", len(taken))
        return [self._alone(each) for each in taken]

    def _alone(self, waiting: _Waiting) -> Mapping[str, Array] | Exception:
        try:
            inputs = {name: np.require(array, requirements="A") for name, array in waiting.inputs.items()}
            return self._session(inputs, outputs=waiting.outputs, timeout=self._limits.timeout)
        except BaseException as error:  # noqa: BLE001 - the request's caller gets it
            return _for_a_future(error)

    def _joined(self, taken: Sequence[_Waiting]) -> list[Mapping[str, Array] | Exception]:
        names = taken[0].inputs
        inputs = {name: np.concatenate([each.inputs[name] for each in taken]) for name in names}
        found = self._session(inputs, outputs=taken[0].outputs, timeout=self._limits.timeout)
        parts: list[Mapping[str, Array] | Exception] = []
        begin = 0
        for each in taken:
            parts.append({name: array[begin : begin + each.rows] for name, array in found.items()})
            begin += each.rows
        return parts

    def _passed(
        self,
        taken: Sequence[_Waiting],
        found: Sequence[Mapping[str, Array] | Exception],
        begun: float,
        seconds: float,
    ) -> None:
        """Hand the results of a pass to the callers."""
        worked = not all(isinstance(each, Exception) for each in found)
        self._observe(sum(each.rows for each in taken), seconds, worked)
        for waiting, result in zip(taken, found, strict=True):
            if waiting.future.done():  # the client has disconnected
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(Done(result, begun - waiting.since, seconds))


def _call(loop: asyncio.AbstractEventLoop, work: Callable[..., None], *arguments: Any) -> None:
    """Call a function in an event loop, unless it is closed: then nobody waits there."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(work, *arguments)


def _for_a_future(error: BaseException) -> Exception:
    """Return an error that a future can carry: others are refused by it, or end the event loop that awaits it."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    carried = RuntimeError(f"the model raised {error!r}")
    carried.__cause__ = error
    return carried
