"""Count running calls, so that resources are freed only when none is running, even if calls are interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 20e-6, 5e-3


class Gate:
    """Admits calls until it is closed.

    A call inside holds a view of one bytearray; the interpreter counts these views. A signal handler (Ctrl-C) may raise
    at any Python call, so a counter kept in Python would sometimes be wrong: between counting and ``try``. Nothing can
    raise between a ``with`` that takes a view and its block, nor at the end of the block.

    Attributes:
        closed: Whether no further calls are admitted.
    """

    def __init__(self) -> None:
        self._door = bytearray(1)
        self._lock = threading.Lock()
        self.closed = self._held = self._freed = False

    def inside(self) -> memoryview:
        """Return a view whose holder is inside until it is released or gone; check `closed` again when inside."""
        if self._held and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()  # until the process has ended
        return memoryview(self._door)  # not in a variable, which a traceback would keep alive

    def for_those_inside(self) -> Callable[[], memoryview]:
        """Return a function that returns further views to a holder, even if the gate has been closed."""
        view: Callable[[bytearray], memoryview] = memoryview
        return partial(view, self._door)

    def close(self) -> None:
        """Admit no further calls."""
        self.closed = True

    def wait_until_empty(self, seconds: float | None = None) -> bool:
        """Wait for all calls inside, with a timeout; return whether all are out."""
        end = None if seconds is None else time.monotonic() + seconds
        pause = _SHORTEST_PAUSE_S
        while not self._is_empty():
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        return True

    def free(self, function: Callable[[], None]) -> None:
        """Wait for all calls inside, then call `function` once; the gate must be closed."""
        self.wait_until_empty()
        with self._lock:
            if not self._freed:
                self._freed = True
                function()

    def hold(self) -> None:
        """From now on, block every thread but the main one that wants to enter, until the process has ended."""
        self._held = True

    def forget(self) -> None:
        """Forget all calls inside: in a forked process, their threads do not exist."""
        self._door, self._lock = bytearray(1), threading.Lock()

    def abandon(self) -> None:
        """Close the gate without ever freeing anything."""
        self.closed = self._freed = True

    def _is_empty(self) -> bool:
        try:
            self._door.append(0)  # a bytearray with views cannot be resized
            self._door.pop()
        except BufferError:
            return False
        return True
