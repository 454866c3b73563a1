"""Ctrl-C and time limits for commands that run a model, even if the model itself would never end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import click

from onepass._errors import BackendError, RunTimeoutError
from onepass.runtime import stop_runs

_MOMENT_S = 0.5  # for a run of ONNX Runtime to end
_GRACE_S = 10.0  # for work that cannot be stopped: a pass on a GPU, a long call into a library
_INTERRUPTED = "interrupted by Ctrl-C"
# Not SIGINT: a command that a script starts in the background ignores it.
_EXPIRY = getattr(signal, "SIGALRM", signal.SIGTERM)

_timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="Time limit; exceeding it is an error.  [default: no limit]",
)  # fmt: skip


def stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Let Ctrl-C stop a command's runs at once, and give the command the option ``--timeout``."""

    @wraps(command)
    def limited(*arguments: Any, timeout: float | None, **rest: Any) -> None:
        with ExitStack() as stack:
            if timeout is not None:
                stack.enter_context(time_limit(timeout))
            stack.enter_context(interruptible())
            command(*arguments, **rest)

    return _timeout_option(limited)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C stop the runs of models; Python itself acts only after the call into the runtime returns."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    read, write = socket.socketpair()
    write.setblocking(False)
    before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), name="onepass-ctrl-c", daemon=True).start()
    try:
        yield
    except BackendError as error:
        if _INTERRUPTED in str(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.set_wakeup_fd(before)
        write.close()


def _watch(read: socket.socket) -> None:
    """Read the numbers of incoming signals until the other end is closed."""
    with read:
        while numbers := read.recv(64):
            if signal.SIGINT in numbers:
                stop_runs(_INTERRUPTED)


class _ExpiredError(BaseException):
    """The time limit has passed; no code below `time_limit` may catch this exception."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `RunTimeoutError` if the block takes longer than the given seconds.

    Runs of ONNX Runtime are stopped; other work is interrupted when it returns to Python. If it does not return within
    ten more seconds, the process ends.
    """
    message = f"not finished after {seconds:g} s, and stopped; increase --timeout to allow more time"
    expired, done, main = threading.Event(), threading.Event(), threading.main_thread().ident or 0
    signal.signal(_EXPIRY, _expire)

    def watch() -> None:
        if done.wait(min(seconds, threading.TIMEOUT_MAX)):
            return
        expired.set()
        stop_runs(message)
        if done.wait(_MOMENT_S):
            return
        signal.pthread_kill(main, _EXPIRY)  # wakes the main thread if it is waiting
        if not done.wait(_GRACE_S):
            click.echo(f"onepass: {message}", err=True)
            os._exit(2)

    threading.Thread(target=watch, name="onepass-timeout", daemon=True).start()
    try:
        yield
    except (_ExpiredError, BackendError) as error:
        if expired.is_set():
            raise RunTimeoutError(message) from error
        raise
    finally:
        done.set()
        signal.signal(_EXPIRY, signal.SIG_IGN)  # a signal may still be pending


def _expire(*_: object) -> None:
    raise _ExpiredError
