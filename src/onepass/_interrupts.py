"""Ctrl-C where Python itself makes another exception of it: during imports, and while a thread starts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process at once while libraries are imported and nothing has been written.

    A KeyboardInterrupt during an import may turn into another exception, or crash a half-imported library. Nothing
    changes if Ctrl-C is ignored or has a handler already, nor in threads other than the main thread.
    """
    handled = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    if handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; an exception that a signal handler raises meanwhile stays what it is.

    If it strikes while `Thread.start` takes back the lock of its condition, releasing that lock fails, and the error
    takes the place of the exception.
    """
    try:
        thread.start()
    except RuntimeError as error:
        if error.__context__ is None:  # the system has no thread left
            raise
        raise error.__context__ from None


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"onepass: interrupted\n")
    os._exit(_INTERRUPTED)
