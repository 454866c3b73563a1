"""Files with many rows: Parquet, NumPy, JSON Lines. Each is read forwards, a few rows at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from onepass._array_files import ArrayRows
from onepass._errors import InputError
from onepass._json import parsed_json
from onepass._printable import counted
from onepass.batch._columns import parquet, pyarrow
from onepass.batch._values import values_of

TABLE_SUFFIXES = (".parquet", ".npz", ".npy", ".jsonl")
"""Suffixes of files with many rows."""

_AT_ONCE = 256


class Table(ABC):
    """The rows of one file, each a mapping from column name to value.

    Reading continues where it stopped if the next requested rows follow; otherwise it starts again.

    Attributes:
        columns: Names of the columns; None if only the rows name them.
    """

    columns: tuple[str, ...] | None = None

    def __init__(self, path: str) -> None:
        self.path = path
        self._reading: Iterator[dict[str, Any]] | None = None
        self._at = 0

    @abstractmethod
    def count(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yield all rows."""

    def rows(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the rows from `start` up to `stop`.

        Raises:
            InputError: The file is damaged, or has fewer rows.
        """
        if self._reading is None or start < self._at:
            self._reading, self._at = self._rows(), 0
        self._skip(start - self._at)
        for _ in range(start, stop):
            row = next(self._reading, None)
            if row is None:
                raise InputError(
                    f"{self.path} now ends after {counted(self._at, 'row')}; it had more when the job started"
                )
            self._at += 1
            yield row

    def _skip(self, count: int) -> None:
        skipped = sum(1 for _ in islice(self._reading or (), count))
        self._at += skipped


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        pa = pyarrow()
        try:
            self._file = parquet().ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is not a Parquet file, or is damaged: {error}") from error
        self.columns = tuple(self._file.schema_arrow.names)

    def count(self) -> int:
        """Return the number of rows, from the file's footer."""
        return int(self._file.metadata.num_rows)

    def rows(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the rows from `start` up to `stop`; row groups before them are not read."""
        if self._reading is None or start < self._at:
            groups = [self._file.metadata.row_group(index).num_rows for index in range(self._file.num_row_groups)]
            first, before = 0, 0
            while first < len(groups) and before + groups[first] <= start:
                before += groups[first]
                first += 1
            self._reading, self._at = self._from(range(first, len(groups))), before
        yield from super().rows(start, stop)

    def _rows(self) -> Iterator[dict[str, Any]]:
        return self._from(range(self._file.num_row_groups))

    def _from(self, groups: range) -> Iterator[dict[str, Any]]:
        """Yield the rows of row groups; for rows lost in a damaged group, yield the error."""
        pa = pyarrow()
        for group in groups:
            left = self._file.metadata.row_group(group).num_rows
            try:
                for batch in self._file.iter_batches(_AT_ONCE, row_groups=[group]):
                    left -= batch.num_rows
                    yield from rows_of(batch)
            except (pa.ArrowException, OSError) as error:
                lost = InputError(f"{self.path} is damaged: {error}")
                yield from ({"": lost} for _ in range(left))


def rows_of(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of an Arrow batch; an unreadable value is replaced by its error."""
    columns = [(name, values_of(batch.column(name))) for name in batch.schema.names]
    for index in range(batch.num_rows):
        yield {name: value(index) for name, value in columns}


class NumpyTable(Table):
    """A ``.npz`` whose arrays have rows along the first axis, or a ``.npy``, whose only array has no name."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._arrays = ArrayRows(Path(path))
        self.columns = self._arrays.names

    def count(self) -> int:
        """Return the arrays' length."""
        return self._arrays.count

    def _rows(self) -> Iterator[dict[str, Any]]:
        return self._arrays.rows()


class JsonTable(Table):
    """JSON Lines: one object per line, whose numbers have no dtype yet."""

    def count(self) -> int:
        """Count the lines."""
        with Path(self.path).open("rb") as file:
            return sum(1 for _ in file)

    def _rows(self) -> Iterator[dict[str, Any]]:
        with Path(self.path).open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    found = parsed_json(line)
                except ValueError as error:
                    found = str(error)
                wrong = InputError(f"line {number} of {self.path} is not a JSON object: {str(found)[:80]}")
                yield found if isinstance(found, dict) else {"": wrong}


def open_table(path: str) -> Table:
    """Open a file with many rows, according to its suffix.

    Raises:
        InputError: The file is not in this format, or is damaged.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        return ParquetTable(path)
    return JsonTable(path) if suffix == ".jsonl" else NumpyTable(path)
