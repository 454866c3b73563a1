"""Runs of ONNX Runtime that can be ended, and which errors are its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from onepass._errors import BackendError, InputError, OnepassError, RunTimeoutError

_OWN = "onepass.runtime.onnxruntime"  # how the modules that call its C++ code are called
_LONGEST_S = threading.TIMEOUT_MAX


class RunOptions(Protocol):
    """ONNX Runtime's options of a run: once `terminate` is true, the run ends after the node that it is at."""

    terminate: bool


class Runs:
    """The runs of one backend.

    Attributes:
        options: What a run is given that only `stop` ends.
    """

    def __init__(self, new_options: Callable[[], RunOptions]) -> None:
        """Prepare for runs.

        Args:
            new_options: Makes the options of a run.
        """
        self.options = new_options()
        self._new_options = new_options
        self._limited: dict[int, _Limit] = {}
        self._reason: str | None = None

    @contextmanager
    def limited(self, seconds: Any) -> Iterator[RunOptions]:
        """Give options for one run, which is ended after so many seconds.

        Raises:
            InputError: That is no number of seconds.
        """
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and not math.isnan(seconds)
        if not number or seconds <= 0:
            raise InputError(f"timeout= takes seconds, a number above 0; got {seconds!r}")
        limit = _Limit(seconds, self._new_options())
        key = id(limit.options)
        self._limited[key] = limit
        timer = threading.Timer(min(seconds, _LONGEST_S), limit.expire)
        timer.daemon = True
        try:
            if self._reason is not None:
                limit.options.terminate = True
            timer.start()
            yield limit.options
        finally:
            timer.cancel()
            self._limited.pop(key, None)

    def stop(self, reason: str) -> None:
        """End all runs under way; further ones fail."""
        self._reason = reason
        self.options.terminate = True
        for limit in list(self._limited.values()):
            limit.options.terminate = True

    def failure(self, options: RunOptions, message: str) -> BackendError:
        """Return the error for a run that failed: it was ended, or it could not be done."""
        limit = self._limited.get(id(options))
        if limit is not None and limit.expired:
            return RunTimeoutError(
                f"the run was not done after {limit.seconds:g} s, and was ended; a greater timeout= gives it longer"
            )
        if self._reason is not None:
            return BackendError(f"the run was ended: {self._reason}")
        return BackendError(message)


class _Limit:
    """The options of a run that may not take longer than some seconds."""

    def __init__(self, seconds: float, options: RunOptions) -> None:
        self.seconds = seconds
        self.options = options
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self.options.terminate = True


def is_of_runtime(error: BaseException) -> bool:
    """Whether ONNX Runtime raised an error; what a signal handler raises meanwhile comes out of the same call."""
    if isinstance(error, OnepassError):
        return False
    if type(error).__module__.partition(".")[0] == "onnxruntime":
        return True
    traceback = error.__traceback__
    module = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    # Its C++ code also raises RuntimeError and the like, and has no frame: they come from the Python code around it.
    return module.partition(".")[0] == "onnxruntime" or module.startswith(_OWN)
