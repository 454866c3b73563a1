"""ONNX Runtime runs that can be stopped, and how to recognise its errors."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from onepass._errors import BackendError, InputError, OnepassError, RunTimeoutError
from onepass._interrupts import start_thread

_OWN = "onepass.runtime.onnxruntime"  # package of the modules that call its C++ code
_LONGEST_S = threading.TIMEOUT_MAX


class RunOptions(Protocol):
    """ONNX Runtime's run options: once `terminate` is true, the run ends after its current node."""

    terminate: bool


class Runs:
    """The runs of one backend.

    Attributes:
        options: Options for runs without a timeout.
    """

    def __init__(self, new_options: Callable[[], RunOptions]) -> None:
        """Prepare for runs.

        Args:
            new_options: Creates options for a run.
        """
        self.options = new_options()
        self._new_options = new_options
        self._limited: dict[int, _Limit] = {}
        self._reason: str | None = None

    @contextmanager
    def limited(self, seconds: Any) -> Iterator[RunOptions]:
        """Yield options for one run, which is stopped after a number of seconds.

        Raises:
            InputError: `seconds` is not a positive number.
        """
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and not math.isnan(seconds)
        if not number or seconds <= 0:
            raise InputError(f"timeout= must be a number of seconds greater than 0, got {seconds!r}")
        limit = _Limit(seconds, self._new_options())
        key = id(limit.options)
        self._limited[key] = limit
        timer = threading.Timer(min(seconds, _LONGEST_S), limit.expire)
        timer.daemon = True
        try:
            if self._reason is not None:
                limit.options.terminate = True
            start_thread(timer)
            yield limit.options
        finally:
            timer.cancel()
            self._limited.pop(key, None)

    def stop(self, reason: str) -> None:
        """Stop all running calls; further calls fail."""
        self._reason = reason
        self.options.terminate = True
        for limit in list(self._limited.values()):
            limit.options.terminate = True

    def failure(self, options: RunOptions, message: str) -> BackendError:
        """Return the error for a failed run: it was stopped, or ONNX Runtime failed."""
        limit = self._limited.get(id(options))
        if limit is not None and limit.expired:
            return RunTimeoutError(
                f"the run exceeded its timeout of {limit.seconds:g} s and was stopped; increase timeout="
            )
        if self._reason is not None:
            return BackendError(f"the run was stopped: {self._reason}")
        return BackendError(message)


class _Limit:
    """The options of a run with a timeout."""

    def __init__(self, seconds: float, options: RunOptions) -> None:
        self.seconds = seconds
        self.options = options
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self.options.terminate = True


def is_of_runtime(error: BaseException) -> bool:
    """Whether ONNX Runtime raised an error, and not a signal handler during the same call."""
    if isinstance(error, OnepassError):
        return False
    if type(error).__module__.partition(".")[0] == "onnxruntime":
        return True
    traceback = error.__traceback__
    module = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    # C++ code has no frame, so a RuntimeError raised there appears to come from the Python code that called it.
    return module.partition(".")[0] == "onnxruntime" or module.startswith(_OWN)
