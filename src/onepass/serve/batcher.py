"""The line before a model: requests that fit together are computed in one pass."""

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
from onepass.outputs import Array
from onepass.runtime import Session
from onepass.serve.faults import Fault, Kind
from onepass.serve.limits import Limits

log = logging.getLogger("onepass.serve")

Observe: TypeAlias = Callable[[int, float, bool], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What a request got.

    Attributes:
        outputs: Arrays by name; views of a whole batch's, where it was part of one.
        queue_seconds: How long it waited for its turn.
        pass_seconds: How long the pass took that it was part of.
    """

    outputs: Mapping[str, Array]
    queue_seconds: float
    pass_seconds: float


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request in the line. Those of one `key` can be joined; None is joined with nothing."""

    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    key: tuple[Any, ...] | None
    rows: int
    future: asyncio.Future[Done]
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """Runs the requests for one model: as many passes at once as there are lanes, each of all that fit.

    While passes are under way, requests gather in the line, so that the busier a model is, the larger its batches are;
    a lone request never waits, unless `Limits.max_delay_ms` says so. All methods belong to one event loop. Passes run
    in threads, which take the next requests from the line themselves: a busy event loop does not keep a model waiting.
    """

    def __init__(self, session: Session, limits: Limits, *, most_rows: int, passes: int, observe: Observe) -> None:
        """Stand before a session.

        Args:
            session: The model.
            limits: How long the line may be, and how long a request waits for others.
            most_rows: How many rows a pass takes; 1 where rows cannot be joined.
            passes: How many passes run at once.
            observe: Is told of each pass: its rows, its seconds, and whether it brought anything.
        """
        self._session = session
        self._limits = limits
        self._most_rows = most_rows
        self._observe = observe
        self._line: deque[_Waiting] = deque()
        self._lock = Lock()  # of the line
        self._passes = 0
        self._most_passes = passes
        self._threads = ThreadPoolExecutor(self._most_passes, thread_name_prefix="onepass-pass")
        self._timer: asyncio.TimerHandle | None = None
        self._going_on = False
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many requests are in the line."""
        return len(self._line)

    def check_room(self) -> None:
        """Raise what a request would get now if there is no room for it, before its body is read.

        Raises:
            Fault: The line is full, or the server stops.
        """
        if self._closing:
            raise Fault(Kind.STOPPING, "the server is stopping; ask another, or again in a while")
        if len(self._line) >= self._limits.max_queue:
            raise Fault(
                Kind.OVERLOADED, f"{len(self._line)} requests are waiting already, as many as may; try again in a while"
            )

    async def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> Done:
        """Return what the model computes of inputs; a caller that is cancelled gives up its place.

        Args:
            inputs: Arrays by name, unchecked.
            outputs: Names of outputs, in the model's order.

        Raises:
            Fault: The line is full.
            OnepassError: What the session raised.
        """
        self.check_room()
        key, rows = self._key(inputs, outputs)
        waiting = _Waiting(inputs, outputs, key, rows, asyncio.get_running_loop().create_future())
        with self._lock:
            self._line.append(waiting)
        if not self._going_on:  # once this turn of the loop is over: what has come in it is computed together
            self._going_on = True
            asyncio.get_running_loop().call_soon(self._go_on)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            with self._lock, suppress(ValueError):  # its pass is under way
                self._line.remove(waiting)
            raise

    def close(self) -> None:
        """Take no more requests, and wait for passes that are under way."""
        self._closing = True
        self._threads.shutdown()

    def _key(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[tuple[Any, ...] | None, int]:
        """Return what a request has in common with those it can be joined with, and its rows."""
        rows = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
        if self._most_rows == 1 or len(rows) != 1 or not 0 < (count := rows.pop()) < self._most_rows:
            return None, 1
        return (outputs, *sorted((name, array.dtype.str, array.shape[1:]) for name, array in inputs.items())), count

    def _go_on(self) -> None:
        """Begin passes while there are requests and lanes for them."""
        self._going_on = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._passes < self._most_passes:
            taken, wait = self._take()
            if wait:
                self._timer = loop.call_later(wait, self._go_on)
            if not taken:
                return
            self._passes += 1
            self._threads.submit(self._work, taken, loop)

    def _take(self) -> tuple[list[_Waiting], float]:
        """Take what the next pass computes out of the line; or say for how many seconds it may wait to be fuller."""
        with self._lock:
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
        """Return the first in the line, and those behind it that can be computed with it."""
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
        """Return for how many seconds a pass may wait to be fuller."""
        first = taken[0]
        if not self._limits.max_delay_ms or first.key is None or self._closing:
            return 0.0
        if sum(each.rows for each in taken) >= self._most_rows:
            return 0.0
        return first.since + self._limits.max_delay_ms / 1e3 - time.perf_counter()

    def _work(self, taken: list[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """Compute one pass after the other, in a thread of its own, until the line is empty."""
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            while taken:
                begun = time.perf_counter()
                found = self._pass(taken)
                loop.call_soon_threadsafe(self._passed, taken, found, begun, time.perf_counter() - begun)
                taken, _ = self._take()
            loop.call_soon_threadsafe(self._rest)

    def _pass(self, taken: Sequence[_Waiting]) -> list[Mapping[str, Array] | Exception]:
        """Compute; an error is that of the request which caused it."""
        if len(taken) > 1:
            try:
                return self._joined(taken)
            except RunTimeoutError as error:
                return [error] * len(taken)
            except Exception:  # noqa: BLE001 - one of them is at fault
                log.debug("a pass of %d requests failed; each is computed by itself", len(taken))
        return [self._alone(each) for each in taken]

    def _alone(self, waiting: _Waiting) -> Mapping[str, Array] | Exception:
        inputs = {name: np.require(array, requirements="A") for name, array in waiting.inputs.items()}
        try:
            return self._session(inputs, outputs=waiting.outputs, timeout=self._limits.timeout)
        except Exception as error:  # noqa: BLE001 - it is the request's
            return error

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
        """Hand out what a pass has brought."""
        worked = not all(isinstance(each, Exception) for each in found)
        self._observe(sum(each.rows for each in taken), seconds, worked)
        for waiting, result in zip(taken, found, strict=True):
            if waiting.future.done():  # its client has left
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(Done(result, begun - waiting.since, seconds))

    def _rest(self) -> None:
        """Give a lane back whose thread found the line empty; by now there may be somebody in it."""
        self._passes -= 1
        self._go_on()
