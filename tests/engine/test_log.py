"""What TensorRT says, kept."""

from __future__ import annotations

from onepass.engine import find_flavor
from onepass.engine.log import LogBook, get_logger
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt


def test_log_book() -> None:
    """Messages after a mark, by gravity; VERBOSE is not kept; the book is bounded."""
    book = LogBook()
    book.write("ERROR", "before")
    mark = book.mark()
    for severity in ("VERBOSE", "INFO", "WARNING", "ERROR", "INTERNAL_ERROR"):
        book.write(severity, severity.lower())
    assert book.text(mark) == "[WARNING] warning\n[ERROR] error\n[INTERNAL_ERROR] internal_error"
    assert [line.severity for line in book.lines(mark)] == ["INFO", "WARNING", "ERROR", "INTERNAL_ERROR"]
    for index in range(9000):
        book.write("INFO", str(index))
    assert 1000 < len(book.lines()) < 9000


def test_one_logger_for_all() -> None:
    """A flavour has one logger for the whole process: TensorRT complains of a second."""
    with installed(make_tensorrt("11.4.0")):
        assert get_logger(find_flavor()) is get_logger(find_flavor())
