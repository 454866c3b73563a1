"""Faces in pictures and videos as rows of a gaze table; each video has its own tracker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

from onepass._errors import MissingExtraError, OnepassError
from onepass._programs import usable_cores
from onepass.batch._columns import pyarrow, text
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._part import Piece
from onepass.batch._rows import ahead
from onepass.batch._work import Work
from onepass.gaze import GazeEstimator, GazeTracker, GazeWords, StreamResult
from onepass.gaze.find.faces import name_of
from onepass.gaze.show.tables import arrow_fields, table_rows
from onepass.media import Frame, Source, open_source

_WORDS = GazeWords()
_FRAMES_AT_ONCE = 200


class GazeWork(Work):
    """Run pictures and videos through a face finder and an eye network."""

    def __init__(self, job: Job, *, workers: int) -> None:
        """Open the finder and the network.

        Args:
            job: The job.
            workers: Number of processes that share this machine's cores.
        """
        self._estimator = GazeEstimator.from_default(job.model)
        self._finder = name_of(self._estimator.finder)
        self._threads = max(1, usable_cores() // workers)
        pa = pyarrow()
        self.schema = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("error", pa.string()),
                                 *arrow_fields()])  # fmt: skip

    def pieces(self, part: Part) -> Iterator[Piece]:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="onepass-ready") as pool:
            opened = ahead((pool.submit(self._opened, part, name) for name in part.files), 2 * self._threads)
            for name, found in zip(part.files, opened, strict=True):
                yield from self._of_file(name, found)

    def piece(self, part: Part, number: int, error: str | None = None) -> Piece:
        name = part.files[number]
        found = error if error is not None else self._opened(part, name)
        pieces = list(self._of_file(name, found))
        tables = [piece.table for piece in pieces]
        return Piece(pyarrow().concat_tables(tables), 1, [each for piece in pieces for each in piece.errors])

    def _opened(self, part: Part, name: str) -> list[Frame] | Source | str:
        """Read a picture, open a video, or return the error message."""
        with _told() as told:
            source = open_source(os.path.join(part.folder, name))  # noqa: PTH118 - as the part has it
            if source.sequence:
                return source
            with source:
                return list(source)
        return told[0]

    def _of_file(self, name: str, found: list[Frame] | Source | str) -> Iterator[Piece]:
        """Yield the rows of one file, a few frames at a time; the last piece counts the file as done."""
        errors = [found] if isinstance(found, str) else []
        if not isinstance(found, str):
            with _told() as told:
                for results in _some(self._results(found)):
                    yield Piece(self._table(name, results), 0)
            errors = told or (found.notes if isinstance(found, Source) else [])
        yield Piece(self._table(name, (), errors), 1, [(name, "; ".join(errors))] if errors else [])

    def _results(self, found: list[Frame] | Source) -> Iterator[StreamResult]:
        if isinstance(found, Source):
            with found, closing(GazeTracker(self._estimator).stream(found)) as results:
                yield from results
            return
        for frame in found:
            [analysis] = self._estimator.analyse_many([frame.picture])
            yield StreamResult(frame, analysis.faces, self._finder)

    def _table(self, name: str, results: Iterable[StreamResult], errors: Iterable[str] = ()) -> Any:
        rows: list[dict[str, Any]] = [
            {"key": text(name), **row} for each in results for row in table_rows(each, _WORDS)
        ]
        rows += [{"key": text(name), "error": text(error)} for error in errors]
        return pyarrow().Table.from_pylist(rows, schema=self.schema)


@contextmanager
def _told() -> Iterator[list[str]]:
    """Collect an error of the block in a list; only a missing extra, common to all files, ends the job."""
    told: list[str] = []
    try:
        yield told
    except MissingExtraError:
        raise
    except OnepassError as error:
        told.append(str(error))
    except Exception as error:  # noqa: BLE001 - an error of a library about this file
        told.append(f"{type(error).__name__}: {error}")


def _some(results: Iterator[StreamResult]) -> Iterator[list[StreamResult]]:
    with closing(results):  # type: ignore[type-var]
        yield from iter(lambda: list(islice(results, _FRAMES_AT_ONCE)), [])
