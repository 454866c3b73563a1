"""Large copies on the host, which several threads share: one core alone does not use what the memory can give."""

from __future__ import annotations

import mmap
import os
import threading
from collections import deque
from queue import SimpleQueue

import numpy as np

from onepass._programs import usable_cores
from onepass.outputs import Array

SHARED_BYTES = 4 << 20
"""How much a helper, which has slept since the call before, is worth: one from this size on, two from twice as much.
Each takes one piece: to pass the interpreter on takes longer than the copy of little, though NumPy lets others run
while it copies."""
_MOST_HELPERS = 3
"""More than that bring next to nothing, and take cores that others have work for."""


class Copying:
    """Copies of one caller at a time, in which helpers join.

    A caller that is interrupted, by a signal handler's exception say, leaves helpers at work, whom `finish` waits for.
    """

    def __init__(self) -> None:
        self._todo: deque[tuple[Array, Array]] = deque()
        # Helpers at work: each enters before it takes a piece, leaves after its last, and then sends word of it.
        self._inside: deque[None] = deque()
        self._word: SimpleQueue[None] = SimpleQueue()
        self._errors: deque[BaseException] = deque()

    def copy(self, target: Array, source: Array) -> None:
        """Fill an array from another of as many elements; both are C-contiguous."""
        self._share(target.reshape(-1), source.reshape(-1), target.nbytes)

    def touch(self, memory: Array) -> None:
        """Write to every page of some fresh memory, so that the system provides it."""
        pages = memory[:: mmap.PAGESIZE]
        self._share(pages, np.zeros_like(pages), memory.nbytes)

    def finish(self) -> None:
        """Take away what nobody has begun, and wait for what helpers are at."""
        self._todo.clear()
        while self._inside:
            self._word.get()

    def help(self) -> None:
        """Do what there is to do, as a helper."""
        self._inside.append(None)
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._errors.append(error)
        finally:
            self._inside.pop()
            self._word.put(None)

    def _share(self, to: Array, given: Array, size_bytes: int) -> None:
        helpers = min(size_bytes // SHARED_BYTES, _helpers.most)
        if not helpers:
            to[...] = given
            return
        self._errors.clear()
        while not self._word.empty():  # of helpers who came when all was done
            self._word.get()
        step = -(-to.size // (helpers + 1))
        try:
            self._todo.extend((to[i : i + step], given[i : i + step]) for i in range(0, to.size, step))
            _helpers.ask(self, helpers)
            self._work()
        finally:
            self.finish()
        if self._errors:
            raise self._errors.pop()

    def _work(self) -> None:
        while self._todo:
            try:
                target, source = self._todo.popleft()
            except IndexError:  # somebody else took it
                return
            target[...] = source


class _Helpers:
    """The threads that help, the same for all callers; they are started when there is something to do.

    Attributes:
        most: How many there may be.
    """

    def __init__(self) -> None:
        self.most = min(usable_cores() - 1, _MOST_HELPERS)
        self.forget()

    def forget(self) -> None:
        """Have none, as in a process that was forked."""
        self._requests: SimpleQueue[Copying] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def ask(self, copying: Copying, count: int) -> None:
        """Ask so many to help."""
        if len(self._threads) < self.most:
            self._start()
        for _ in range(count):
            self._requests.put(copying)

    def _start(self) -> None:
        with self._lock:
            while len(self._threads) < self.most:
                # Nothing that a thread holds keeps anybody's arrays.
                thread = threading.Thread(target=_help, args=(self._requests,), name="onepass-copy", daemon=True)
                thread.start()
                self._threads.append(thread)


def _help(requests: SimpleQueue[Copying]) -> None:
    while True:
        requests.get().help()


_helpers = _Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.forget)
