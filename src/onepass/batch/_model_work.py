"""Rows of files and tables through a model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from onepass._errors import InputError
from onepass._programs import usable_cores
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._part import Piece
from onepass.batch._rows import Done, Item, Rows
from onepass.batch._tables import Table, open_table
from onepass.batch._work import Work
from onepass.runtime import load

_GPU_PASSES = 4  # in flight per GPU: some compute while others are copied


class ModelWork(Work):
    """Run rows through a model."""

    def __init__(self, job: Job, *, workers: int) -> None:
        """Open the model.

        Args:
            job: The job.
            workers: Number of processes that share this machine's cores.
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
        """Yield a part's rows, starting at row `begin`."""
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
        except InputError as error:  # the rest of this file is lost; other files are not affected
            self._table = None
            yield from (Item(str(number + index), error) for index in range(stop - start))

    def _check(self, part: Part) -> None:
        """Refuse tables without the inputs' columns, at the first one: all tables have the same columns."""
        if self._checked or not part.slices:
            return
        self._checked = True
        try:
            columns = self._opened_table(part.slices[0][0]).columns
        except InputError:
            return  # its rows report the error
        if columns is not None:
            self._rows.check_columns(columns)

    def _opened_table(self, path: str) -> Table:
        if self._table is None or self._table.path != path:
            self._table = open_table(path)
        return self._table

    def _item(self, row: Mapping[str, Any], number: int) -> Item:
        name = self._job.key
        if name is None or "" in row:  # without keys, or an invalid line
            return Item(str(number), row)
        value = row.get(name)
        if value is None or isinstance(value, Exception):
            return Item(str(number), InputError(f"row {number} has no key: column {name!r} is empty"))
        return Item(str(value), row)
