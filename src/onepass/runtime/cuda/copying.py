"""Large copies on the host, shared by several threads: a single core cannot use the full memory bandwidth."""

from __future__ import annotations

import mmap
import os
import threading
from collections import deque
from queue import SimpleQueue

import numpy as np

from onepass._interrupts import start_thread
from onepass._programs import usable_cores
from onepass.outputs import Array

SHARED_BYTES = 4 << 20
"""Copy size per helper: one helper from this size on, two from twice this size, and so on. Waking a helper, which has
slept since the previous call, pays off only then. Each thread copies a single piece: NumPy releases the GIL while it
copies, but passing the GIL on takes longer than copying a small piece."""
_MOST_HELPERS = 3
"""More helpers bring almost nothing, and occupy cores that other work needs."""


class Copying:
    """Copies for one caller at a time, with the help of other threads.

    If a caller is interrupted, for example by an exception in a signal handler, helpers may still be working; `finish`
    waits for them.
    """

    def __init__(self) -> None:
        self._todo: deque[tuple[Array, Array]] = deque()
        # One entry per working helper: added before its first piece, removed after its last; then it sends a message.
        self._inside: deque[None] = deque()
        self._word: SimpleQueue[None] = SimpleQueue()
        self._errors: deque[BaseException] = deque()

    def copy(self, target: Array, source: Array) -> None:
        """Copy `source` to `target`. Both must be C-contiguous and have the same number of elements."""
        self._share(target.reshape(-1), source.reshape(-1), target.nbytes)

    def touch(self, memory: Array) -> None:
        """Write to every page of fresh memory, so that the system allocates it."""
        pages = memory[:: mmap.PAGESIZE]
        self._share(pages, np.zeros_like(pages), memory.nbytes)

    def finish(self) -> None:
        """Discard pieces that nobody has started, and wait for the helpers."""
        self._todo.clear()
        while self._inside:
            self._word.get()

    def help(self) -> None:
        """Copy pieces until none is left; called in a helper's thread."""
        self._inside.append(None)
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised in the caller
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
        while not self._word.empty():  # messages from helpers that found no work left
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
            except IndexError:  # another thread took it
                return
            target[...] = source


class _Helpers:
    """The helper threads, shared by all callers and started when they are first needed.

    Attributes:
        most: Maximum number of helpers.
    """

    def __init__(self) -> None:
        self.most = min(usable_cores() - 1, _MOST_HELPERS)
        self.forget()

    def forget(self) -> None:
        """Start over without threads, as required in a forked process."""
        self._requests: SimpleQueue[Copying] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def ask(self, copying: Copying, count: int) -> None:
        """Ask for the help of `count` threads."""
        if len(self._threads) < self.most:
            self._start()
        for _ in range(count):
            self._requests.put(copying)

    def _start(self) -> None:
        with self._lock:
            while len(self._threads) < self.most:
                # A thread holds only the queue, so it keeps no caller's arrays alive.
                thread = threading.Thread(target=_help, args=(self._requests,), name="onepass-copy", daemon=True)
                start_thread(thread)
                self._threads.append(thread)


def _help(requests: SimpleQueue[Copying]) -> None:
    while True:
        requests.get().help()


_helpers = _Helpers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.forget)
