"""Process a part: run its rows, write the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass.batch._inputs import Part
from onepass.batch._part import Piece, write_part
from onepass.batch.manifest import PartRecord


class Work(ABC):
    """Process the rows of parts, in one process, with one open model.

    Attributes:
        schema: Arrow schema of all output files.
    """

    schema: Any

    @abstractmethod
    def pieces(self, part: Part) -> Iterator[Piece]:
        """Yield the results of a part's rows, in order."""

    @abstractmethod
    def piece(self, part: Part, number: int, error: str | None = None) -> Piece:
        """Return the result of one row of a part, or of the error given for it."""


def do_part(
    work: Work,
    folder: Path,
    part: Part,
    *,
    poison: Mapping[int, str],
    careful: bool,
    stop: bool,
    told: Callable[[str, int, int], None],
) -> PartRecord:
    """Process a part.

    Args:
        work: The open model.
        folder: The output folder.
        part: The part.
        poison: Rows that ended a process before, by their number in the part, with their error messages.
        careful: Process row by row, and report each row first, so that a row that ends the process is known.
        stop: Whether a failed row stops the job.
        told: Called with ``"row"``, the row's number in the part, and 0 before each row, if `careful`; and with
            ``"rows"``, the number of rows done since the last call, and the number of errors among them.

    Raises:
        InputError: A row failed, and `stop` is set.
        OSError: The file cannot be written.
    """

    def pieces() -> Iterator[Piece]:
        if not careful and not poison:
            yield from work.pieces(part)
            return
        for number in range(part.rows):
            told("row", number, 0)
            yield work.piece(part, number, poison.get(number))

    def counted() -> Iterator[Piece]:
        for piece in pieces():
            if stop and piece.errors:
                key, error = piece.errors[0]
                raise InputError(f"row {key!r}: {error}")
            yield piece
            told("rows", piece.inputs, len(piece.errors))

    return write_part(folder, part, work.schema, counted())
