"""Write gaze tables incrementally: CSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from onepass._errors import InputError, MediaError
from onepass._optional import optional
from onepass._printable import counted
from onepass.drafts import Draft, is_stream, open_stream
from onepass.gaze.show.columns import COLUMNS, Value, rows_of
from onepass.gaze.show.words import GazeWords
from onepass.gaze.stream import StreamResult

TABLE_SUFFIXES: tuple[str, ...] = (".csv", ".jsonl", ".parquet")
"""Suffixes that `open_table` supports."""

_DECIMALS = 4
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_AT_ONCE = 5_000  # rows that a Parquet table buffers before writing


class Table(ABC):
    """A table that grows with the rows of each result; see `onepass.gaze.show.columns` for its columns.

    It is written under a temporary name and renamed when closed, with all rows written so far, however the ``with``
    block ends. If no row could be written, an existing file is kept.
    """

    def __init__(self, path: str | os.PathLike[str], words: GazeWords | None = None) -> None:
        self._path = Path(path)
        self._words = words or GazeWords()
        self._draft: Draft | None = None  # None if rows go directly to a pipe or standard output
        self._rows = 0
        self._cut_off = False
        self._closed = False

    def write(self, result: StreamResult) -> None:
        """Add the rows of one frame.

        Raises:
            MediaError: The rows cannot be written; the table ends with the previous frame.
            BrokenPipeError: The reader of standard output or of the pipe has gone.
        """
        rows = table_rows(result, self._words)
        try:
            self._append(rows)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._cut_off = True
            raise MediaError(self._failed(error)) from error
        self._rows += len(rows)

    def close(self) -> None:
        """Finish the table and rename it. Closing twice is allowed.

        Raises:
            MediaError: The table cannot be finished.
            BrokenPipeError: The reader of standard output or of the pipe has gone.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._finish()
            if self._draft is not None and self._can_be_used:
                self._draft.put()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise MediaError(self._failed(error)) from error
        finally:
            if self._draft is not None:
                self._draft.discard()

    @property
    def _can_be_used(self) -> bool:
        return self._rows > 0 or not self._cut_off

    def _reason(self, error: OSError) -> str:
        """Return the system's reason, with the caller's path instead of the temporary one."""
        told = error if self._draft is None else self._draft.told(error)
        name = "standard output" if str(self._path) == "-" else self._path
        return f"cannot write {name}: {told.strerror or told}"

    def _failed(self, error: OSError) -> str:
        if self._rows:
            return f"{self._reason(error)}; the table ends after {counted(self._rows, 'row')}"
        return self._reason(error) + ("" if self._draft is None else "; an existing file is kept")

    @abstractmethod
    def _append(self, rows: list[dict[str, Value]]) -> None:
        """Write all rows or none."""

    @abstractmethod
    def _finish(self) -> None:
        """Close the file."""

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TextTable(Table):
    """CSV with a header line, or JSON Lines with one object per row; ``-`` is standard output.

    Rows go to standard output and pipes immediately. A CSV text cell that a spreadsheet would take for a formula,
    because it starts with ``=``, ``+``, ``-`` or ``@``, gets a leading apostrophe.
    """

    def __init__(self, path: str | os.PathLike[str], *, jsonl: bool = False, words: GazeWords | None = None) -> None:
        """Open the table.

        Args:
            path: Path of the table.
            jsonl: JSON Lines instead of CSV.
            words: Thresholds of the words for a gaze; None for the defaults.

        Raises:
            MediaError: The table cannot be written.
            BrokenPipeError: The reader of standard output or of the pipe has gone.
        """
        super().__init__(path, words)
        self._text_of = _jsonl if jsonl else _csv
        self._to_stdout = os.fspath(path) == "-"
        self._end = 0
        try:
            self._file = self._opened()
            if not jsonl:
                self._write(_csv([{column.name: column.name for column in COLUMNS}]))
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._draft is not None:
                self._draft.discard()
            raise MediaError(self._failed(error)) from error

    def _opened(self) -> Any:
        if self._to_stdout:
            return sys.stdout.buffer
        if is_stream(self._path):
            return open_stream(self._path)
        self._draft = Draft(self._path)
        return self._draft.path.open("wb", buffering=0)

    def _append(self, rows: list[dict[str, Value]]) -> None:
        self._write(self._text_of(rows))

    def _write(self, text: str) -> None:
        data = memoryview(text.encode())
        try:
            _write_all(self._file, data)
        except OSError:
            if self._draft is not None:
                self._file.truncate(self._end)  # remove a partial row
            raise
        self._end += len(data)
        if self._to_stdout:
            self._file.flush()

    def _finish(self) -> None:
        if not self._to_stdout:
            self._file.close()


def _write_all(file: BinaryIO, data: memoryview) -> None:
    """Write to an unbuffered file, which may accept only part of the data at a time."""
    while data:
        data = data[file.write(data) :]


class ParquetTable(Table):
    """Parquet with typed columns. Its index is written last: if the disk fills up before, the table is lost."""

    def __init__(self, path: str | os.PathLike[str], *, words: GazeWords | None = None) -> None:
        """Open the table.

        Args:
            path: Path of the table.
            words: Thresholds of the words for a gaze; None for the defaults.

        Raises:
            MediaError: The table cannot be written.
            MissingExtraError: PyArrow is not installed.
        """
        super().__init__(path, words)
        pa = optional("pyarrow", extra="parquet", purpose="Writing Parquet")
        self._batch_of = pa.RecordBatch.from_pydict
        self._schema = pa.schema(arrow_fields())
        self._waiting = _empty_columns()
        writer = optional("pyarrow.parquet", extra="parquet", purpose="Writing Parquet").ParquetWriter
        try:
            self._draft = Draft(self._path)
            self._writer = writer(self._draft.path, self._schema)
        except OSError as error:
            if self._draft is not None:
                self._draft.discard()
            raise MediaError(self._failed(error)) from error

    def _append(self, rows: list[dict[str, Value]]) -> None:
        for row in rows:
            for name, value in row.items():
                self._waiting[name].append(value)
        if self._rows_waiting >= _ROWS_AT_ONCE:
            self._flush()

    @property
    def _rows_waiting(self) -> int:
        return len(self._waiting[COLUMNS[0].name])

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, _empty_columns()
        try:
            self._writer.write_batch(self._batch_of(waiting, schema=self._schema))
        except OSError:
            self._cut_off = True
            raise

    @property
    def _can_be_used(self) -> bool:
        return not self._cut_off

    def _finish(self) -> None:
        try:
            if self._rows_waiting and not self._cut_off:
                self._flush()
        finally:
            self._writer.close()  # does nothing after an error

    def _failed(self, error: OSError) -> str:
        return (
            f"{self._reason(error)}. A Parquet file cannot be read without its end, so the table is lost; CSV and JSON "
            "Lines would keep the rows so far"
        )


def arrow_fields() -> list[Any]:
    """Return the columns of a table as Arrow fields.

    Raises:
        MissingExtraError: PyArrow is not installed.
    """
    pa = optional("pyarrow", extra="parquet", purpose="Writing Parquet")
    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    return [pa.field(column.name, types[column.kind], metadata={"about": column.about}) for column in COLUMNS]


def _empty_columns() -> dict[str, list[Value]]:
    return {column.name: [] for column in COLUMNS}


def open_table(path: str | os.PathLike[str], *, words: GazeWords | None = None) -> Table:
    """Open a table in the format that its ending names.

    Args:
        path: Path of the table, with one of `TABLE_SUFFIXES`.
        words: Thresholds of the words for a gaze; None for the defaults.

    Raises:
        InputError: The suffix is unknown.
        MediaError: The table cannot be written.
        MissingExtraError: A Parquet table needs the extra ``parquet``.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        return ParquetTable(path, words=words)
    if suffix in (".csv", ".jsonl"):
        return TextTable(path, jsonl=suffix == ".jsonl", words=words)
    raise InputError(f"unknown table format {os.fspath(path)!r}; use a name that ends in {', '.join(TABLE_SUFFIXES)}")


def table_rows(result: StreamResult, words: GazeWords) -> list[dict[str, Value]]:
    """Return the rows of one frame, as written to all tables."""
    return [{name: _clean(value) for name, value in row.items()} for row in rows_of(result, words)]


def _clean(value: Value) -> Value:
    """Round to a ten-thousandth of a pixel, a degree or a second, the useful precision; make text valid UTF-8."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _csv(rows: list[dict[str, Value]]) -> str:
    text = io.StringIO()
    safe = [{name: _uncomputed(value) for name, value in row.items()} for row in rows]
    csv.DictWriter(text, [column.name for column in COLUMNS], lineterminator="\n").writerows(safe)
    return text.getvalue()


def _uncomputed(value: Value) -> Value:
    """Prefix text that a spreadsheet would take for a formula with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _jsonl(rows: list[dict[str, Value]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
