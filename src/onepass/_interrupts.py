"""Ctrl-C while nothing has to be cleaned up: the process ends without a traceback."""

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


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"onepass: interrupted\n")
    os._exit(_INTERRUPTED)
