"""Who is inside: what calls use is freed when none is under way, and only then, whatever interrupts a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 20e-6, 5e-3


class Gate:
    """Lets calls in until it is closed.

    To be inside is to hold a view of one array of bytes, which the interpreter counts. A signal handler (Ctrl-C) may
    raise wherever Python code calls something, so a number kept by Python code is left wrong now and then: between
    the counting and ``try``. Between a ``with`` that takes a view and its block nothing can raise, nor at its end.

    Attributes:
        closed: Whether nobody is let in any more.
    """

    def __init__(self) -> None:
        self._door = bytearray(1)
        self._lock = threading.Lock()
        self.closed = self._held = self._freed = False

    def inside(self) -> memoryview:
        """Return what its holder is inside with until it is released or gone; ask `closed` once more when inside."""
        if self._held and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()  # until the process is gone
        return memoryview(self._door)  # in no variable, which a traceback would keep

    def for_those_inside(self) -> Callable[[], memoryview]:
        """Return what gives further views to who is inside, though the gate may be closed by then."""
        view: Callable[[bytearray], memoryview] = memoryview
        return partial(view, self._door)

    def close(self) -> None:
        """Let nobody in any more."""
        self.closed = True

    def wait_until_empty(self, seconds: float | None = None) -> bool:
        """Wait for those inside, so long at most; whether all are out."""
        end = None if seconds is None else time.monotonic() + seconds
        pause = _SHORTEST_PAUSE_S
        while not self._is_empty():
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        return True

    def free(self, function: Callable[[], None]) -> None:
        """Wait for those inside, then call `function`, unless it was called before; the gate is closed."""
        self.wait_until_empty()
        with self._lock:
            if not self._freed:
                self._freed = True
                function()

    def hold(self) -> None:
        """Keep every thread but the main one from here on: who asks to come in waits until the process is gone."""
        self._held = True

    def forget(self) -> None:
        """Forget who is inside: their threads are not there in a process that was forked."""
        self._door, self._lock = bytearray(1), threading.Lock()

    def abandon(self) -> None:
        """Be closed, and never free anything."""
        self.closed = self._freed = True

    def _is_empty(self) -> bool:
        try:
            self._door.append(0)  # an array that is viewed cannot change its size
            self._door.pop()
        except BufferError:
            return False
        return True
