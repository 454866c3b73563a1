"""TensorRT's log: kept for error messages and passed on to Python's logging, never printed."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from typing import Any, NamedTuple

from onepass._printable import indented
from onepass.engine.flavor import Flavor

LOGGER_NAME = "onepass.tensorrt"
# Without a handler, Python would print the warnings of a library's logger.
logging.getLogger(LOGGER_NAME).addHandler(logging.NullHandler())
_KEPT_LINES = 4000
_LEVELS = {
    "INTERNAL_ERROR": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "VERBOSE": logging.DEBUG,
}


# Threads to stop at their next message, and events that tell that they have stopped.
_held: dict[int | None, threading.Event] = {}


def hold(thread: threading.Thread) -> threading.Event:
    """Stop a TensorRT thread at its next message; the returned event is set when the thread has stopped.

    Needed when the process ends: Python would terminate a thread that enters it from C++, within the C++ code, which
    aborts the process.
    """
    return _held.setdefault(thread.ident, threading.Event())


def stay_if_held() -> None:
    """Block forever if `hold` was called for this thread."""
    there = _held.get(threading.get_ident())
    if there is not None:
        there.set()
        threading.Event().wait()


class Line(NamedTuple):
    """One message: TensorRT's severity (``"ERROR"``, ``"WARNING"`` …) and its text."""

    severity: str
    text: str


class LogBook:
    """The latest messages of one flavour; thread-safe.

    All messages go to ``logging.getLogger("onepass.tensorrt")``, too. VERBOSE messages go there only, as DEBUG.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, Line]] = deque(maxlen=_KEPT_LINES)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._logging = logging.getLogger(LOGGER_NAME)

    def write(self, severity: str, text: str) -> None:
        """Record a message, which may contain names from the model."""
        stay_if_held()
        text = indented(text)
        level = _LEVELS.get(severity, logging.INFO)
        if severity != "VERBOSE":
            with self._lock:
                self._lines.append((next(self._numbers), Line(severity, text)))
        if self._logging.isEnabledFor(level):
            self._logging.log(level, "%s", text)

    def mark(self) -> int:
        """Return a mark; `lines` and `text` return the messages after it."""
        with self._lock:
            return next(self._numbers)

    def lines(self, since: int = -1, *, at_least: str = "INFO") -> list[Line]:
        """Return the messages after a mark with at least the given severity, in order."""
        level = _LEVELS[at_least]
        with self._lock:
            kept = list(self._lines)
        return [line for number, line in kept if number > since and _LEVELS.get(line.severity, logging.INFO) >= level]

    def text(self, since: int = -1, *, at_least: str = "WARNING") -> str:
        """Return the messages after a mark for an exception: one per line, with the severity first."""
        return "\n".join(f"[{line.severity}] {line.text}" for line in self.lines(since, at_least=at_least))


_LOGGERS: dict[int, tuple[Any, Any]] = {}
_LOCK = threading.Lock()


def get_logger(flavor: Flavor) -> Any:
    """Return a flavour's only ``ILogger``; its attribute ``book`` is a `LogBook`.

    TensorRT keeps its first logger for the whole process and warns about a second one. So one logger lives as long as
    the process and serves every builder and runtime.
    """
    with _LOCK:
        key = id(flavor.module)
        if key not in _LOGGERS:
            _LOGGERS[key] = (
                flavor.module,
                _make_logger(flavor.module),
            )  # a living module keeps its id unique
        return _LOGGERS[key][1]


def _make_logger(module: Any) -> Any:
    class OnepassLogger(module.ILogger):  # type: ignore[misc] # the base class is known only at run time
        def __init__(self) -> None:
            module.ILogger.__init__(self)  # pybind11 requires an explicit call, not super()
            self.book = LogBook()

        def log(self, severity: Any, message: str) -> None:
            self.book.write(severity.name, message)

    return OnepassLogger()
