"""TensorRT's log: kept for the exceptions, handed on to Python's logging, printed nowhere."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from typing import Any, NamedTuple

from onepass._printable import indented
from onepass.engine.flavor import Flavor

LOGGER_NAME = "onepass.tensorrt"
# Without a handler of its own, Python would print a library's warnings.
logging.getLogger(LOGGER_NAME).addHandler(logging.NullHandler())
_KEPT_LINES = 4000
_LEVELS = {
    "INTERNAL_ERROR": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "VERBOSE": logging.DEBUG,
}


# Threads that go no further than to their next message, and whether they are there.
_held: dict[int | None, threading.Event] = {}


def hold(thread: threading.Thread) -> threading.Event:
    """Let a thread of TensorRT's go no further than to its next message; return what tells that it is there.

    For the end of the process: a thread that comes from C++ into Python then is ended in the middle of the C++, which
    aborts the process.
    """
    return _held.setdefault(thread.ident, threading.Event())


def stay_if_held() -> None:
    """Wait until the process is gone, where `hold` says so."""
    there = _held.get(threading.get_ident())
    if there is not None:
        there.set()
        threading.Event().wait()


class Line(NamedTuple):
    """One message: TensorRT's severity (``"ERROR"``, ``"WARNING"`` …) and its text."""

    severity: str
    text: str


class LogBook:
    """The last messages of one flavour; many threads may write at once.

    Messages reach ``logging.getLogger("onepass.tensorrt")`` too, where VERBOSE is DEBUG; they are not kept here.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, Line]] = deque(maxlen=_KEPT_LINES)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._logging = logging.getLogger(LOGGER_NAME)

    def write(self, severity: str, text: str) -> None:
        """Take a message, which may hold names of the model's."""
        stay_if_held()
        text = indented(text)
        level = _LEVELS.get(severity, logging.INFO)
        if severity != "VERBOSE":
            with self._lock:
                self._lines.append((next(self._numbers), Line(severity, text)))
        if self._logging.isEnabledFor(level):
            self._logging.log(level, "%s", text)

    def mark(self) -> int:
        """Return a mark; `lines` and `text` give what came after it."""
        with self._lock:
            return next(self._numbers)

    def lines(self, since: int = -1, *, at_least: str = "INFO") -> list[Line]:
        """Messages after a mark, of a severity or graver, in their order."""
        level = _LEVELS[at_least]
        with self._lock:
            kept = list(self._lines)
        return [line for number, line in kept if number > since and _LEVELS.get(line.severity, logging.INFO) >= level]

    def text(self, since: int = -1, *, at_least: str = "WARNING") -> str:
        """Messages after a mark as they are put into an exception: one a line, the severity before it."""
        return "\n".join(f"[{line.severity}] {line.text}" for line in self.lines(since, at_least=at_least))


_LOGGERS: dict[int, tuple[Any, Any]] = {}
_LOCK = threading.Lock()


def get_logger(flavor: Flavor) -> Any:
    """Return the ``ILogger`` of a flavour, whose attribute ``book`` is a `LogBook`; always the same one.

    TensorRT keeps the first logger it is given for the whole process and complains of a second, which must therefore
    live as long as the process, and serve every builder and runtime.
    """
    with _LOCK:
        key = id(flavor.module)
        if key not in _LOGGERS:
            _LOGGERS[key] = (flavor.module, _make_logger(flavor.module))  # the module is kept: its id stays its own
        return _LOGGERS[key][1]


def _make_logger(module: Any) -> Any:
    class OnepassLogger(module.ILogger):  # type: ignore[misc] # the base is known at run time only
        def __init__(self) -> None:
            module.ILogger.__init__(self)  # pybind11 wants its own base called, not super()
            self.book = LogBook()

        def log(self, severity: Any, message: str) -> None:
            self.book.write(severity.name, message)

    return OnepassLogger()
