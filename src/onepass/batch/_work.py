"""What a process does with a part: read its rows, take them through the model, write the file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass._programs import usable_cores
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._part import Piece, write_part
from onepass.batch._rows import Done, Item, Rows
from onepass.batch._tables import Table, open_table
from onepass.batch.manifest import PartRecord
from onepass.runtime import load

_GPU_PASSES = 4  # under way on each GPU: some compute while others are copied


class Work(ABC):
    """What is done to the rows of a part, in one process, with one model that stays open.

    Attributes:
        schema: Arrow schema of all its files.
    """

    schema: Any

    @abstractmethod
    def pieces(self, part: Part) -> Iterator[Piece]:
        """Yield what comes of the rows, in order."""

    @abstractmethod
    def piece(self, part: Part, number: int, error: str | None = None) -> Piece:
        """Return what comes of one row of a part by itself, or of the error that stands for it."""


class ModelWork(Work):
    """Rows through a model."""

    def __init__(self, job: Job, *, workers: int) -> None:
        """Open the model.

        Args:
            job: What to do.
            workers: How many processes share this machine's cores.
        """
        self._rows = Rows(load(job.model), job)
        self._job = job
        self.schema = self._rows.schema
        self._threads = max(1, usable_cores() // workers)
        several = job.model.device if isinstance(job.model.device, tuple) else ()
        self._passes = _GPU_PASSES * max(1, len(several)) if job.model.device is not None else self._threads
        self._table: Table | None = None
        self._checked = False

    def pieces(self, part: Part) -> Iterator[Piece]:
        self._check(part)
        for done in self._rows.done(self._items(part), threads=self._threads, passes=self._passes):
            yield self._piece(done)

    def piece(self, part: Part, number: int, error: str | None = None) -> Piece:
        self._check(part)
        item = next(self._items(part, number))
        return self._piece([self._rows.one(item) if error is None else Done(item.key, error=error)])

    def _piece(self, done: list[Done]) -> Piece:
        return Piece(self._rows.table(done), len(done), [(row.key, row.error) for row in done if row.error is not None])

    def _items(self, part: Part, begin: int = 0) -> Iterator[Item]:
        """Yield a part's rows from one of them on."""
        for name in part.files[begin:]:
            yield Item(name, os.path.join(part.folder, name))  # noqa: PTH118 - a million
        number = part.first
        for path, start, stop in part.slices:
            if number + stop - start > part.first + begin:
                skipped = max(0, part.first + begin - number)
                yield from self._of_table(path, start + skipped, stop, number + skipped)
            number += stop - start

    def _of_table(self, path: str, start: int, stop: int, number: int) -> Iterator[Item]:
        try:
            for row in self._opened_table(path).rows(start, stop):
                yield self._item(row, number)
                number, start = number + 1, start + 1
        except InputError as error:  # the rest of it is lost, and no other file
            self._table = None
            yield from (Item(str(number + index), error) for index in range(stop - start))

    def _check(self, part: Part) -> None:
        """Refuse tables whose columns are not those of the inputs, at the first: all of them have the same."""
        if self._checked or not part.slices:
            return
        self._checked = True
        try:
            columns = self._opened_table(part.slices[0][0]).columns
        except InputError:
            return  # which its rows say
        if columns is not None:
            self._rows.check_columns(columns)

    def _opened_table(self, path: str) -> Table:
        if self._table is None or self._table.path != path:
            self._table = open_table(path)
        return self._table

    def _item(self, row: Mapping[str, Any], number: int) -> Item:
        name = self._job.key
        if name is None or "" in row:  # without names, or of no line
            return Item(str(number), row)
        value = row.get(name)
        if value is None or isinstance(value, Exception):
            return Item(str(number), InputError(f"row {number} has no key: there is nothing in {name!r}"))
        return Item(str(value), row)


def open_work(job: Job, *, workers: int) -> Work:
    """Open what does a job."""
    if job.gaze:
        from onepass.batch._gaze import GazeWork  # noqa: PLC0415 - it brings OpenCV

        return GazeWork(job, workers=workers)
    return ModelWork(job, workers=workers)


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
    """Do a part.

    Args:
        work: What to do.
        folder: Where its file goes.
        part: The part.
        poison: Rows that ended a process before, by their number in the part, and what to say of them.
        careful: Do row by row, and tell of each before it is begun, so that one that ends the process is known.
        stop: Whether a row that fails ends the job.
        told: Called with ``"row"``, a row's number in the part and 0 before it is begun, if `careful`; and with
            ``"rows"``, how many are done since the last time, and how many of these have an error.

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
