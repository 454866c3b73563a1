"""One part: a Parquet file, renamed into place when complete, and its record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from onepass._errors import InputError
from onepass.artifacts import replacing, sha256_of
from onepass.batch._columns import parquet, pyarrow
from onepass.batch._inputs import Part
from onepass.batch.manifest import PartRecord, read_json, write_json

RECORDS = "_parts"
"""Folder of the records inside the output folder, until the manifest is written."""

# Rows collect in memory up to this size, then become one compressed row group.
_GROUP_BYTES = 16 << 20


class Piece(NamedTuple):
    """Rows to be written to a part's file.

    Attributes:
        table: An Arrow table.
        inputs: Number of input rows.
        errors: Key and error of each failed input row.
    """

    table: Any
    inputs: int
    errors: Sequence[tuple[str, str]] = ()


def write_part(folder: Path, part: Part, schema: Any, pieces: Iterable[Piece]) -> PartRecord:
    """Write a part's file, then its record.

    Raises:
        OSError: A file cannot be written, for example because the disk is full.
    """
    pa = pyarrow()
    inputs = rows = errors = 0
    with replacing(folder / part.file) as temporary, _writing(temporary, schema) as write:
        waiting: list[Any] = []
        for piece in pieces:
            inputs, rows, errors = inputs + piece.inputs, rows + piece.table.num_rows, errors + len(piece.errors)
            waiting.append(piece.table)
            if sum(table.nbytes for table in waiting) >= _GROUP_BYTES:
                write(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            write(pa.concat_tables(waiting))
    path = folder / part.file
    record = PartRecord(part.file, inputs, rows, errors, path.stat().st_size, sha256_of(path))
    write_json(_record_path(folder, part), asdict(record))
    return record


def finished(folder: Path, part: Part) -> PartRecord | None:
    """Return the record of a finished part; None if the part is not finished."""
    try:
        record = PartRecord(**read_json(_record_path(folder, part)))
    except (InputError, TypeError):  # missing, or truncated by a power failure
        return None
    return record if record.inputs == part.rows and record.is_in(folder) else None


def _record_path(folder: Path, part: Part) -> Path:
    return folder / RECORDS / f"{part.number:05}.json"


@contextmanager
def _writing(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    """Write Parquet through a Python file object, so that errors of the system reach the caller unchanged."""
    pa = pyarrow()
    texts = [field.name for field in schema if pa.types.is_string(field.type)]  # numbers seldom repeat
    with path.open("wb") as file, parquet().ParquetWriter(file, schema, use_dictionary=texts) as writer:
        yield writer.write_table
