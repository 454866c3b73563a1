"""Who is inside: counts the calls under way, so that what they use is freed after the last one, and only then."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Gate:
    """Lets calls in until it is closed; whoever leaves last after that frees what they used."""

    def __init__(self, free: Callable[[], None]) -> None:
        """Make an open gate.

        Args:
            free: Called once, when the gate is closed and nobody is inside.
        """
        self._free = free
        self._lock = threading.Lock()
        self._inside = 0
        self._freed = threading.Event()
        self.closed = False

    def enter(self) -> bool:
        """Go in, and owe a `leave`; False where the gate is closed."""
        with self._lock:
            if self.closed:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """Go out."""
        with self._lock:
            self._inside -= 1
            last = self.closed and self._inside == 0
        if last:
            self._finish()

    def close(self, *, wait: bool) -> None:
        """Let nobody in any more; closing again does nothing.

        Args:
            wait: Come back when everybody is out and all is freed. A thread that others inside wait for must not.
        """
        with self._lock:
            first, self.closed = not self.closed, True
            empty = self._inside == 0
        if first and empty:
            self._finish()
        if wait:
            self._freed.wait()

    def _finish(self) -> None:
        try:
            self._free()
        finally:
            self._freed.set()
