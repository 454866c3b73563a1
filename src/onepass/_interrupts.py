"""Ctrl-C while there is nothing to tidy up: an end without a traceback."""

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
    """Let Ctrl-C end the process at once, while libraries are imported and nothing is written yet.

    An exception in the middle of an import may come out as another one, or crash the libraries that are half there.
    Where Ctrl-C is ignored or handled by somebody else, and in other threads, that stays as it is.
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
