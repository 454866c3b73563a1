"""Process parts on this machine, with several worker processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._worker import Terms, Worker
from onepass.batch.manifest import PartRecord

Told = Callable[[int, int], None]


def do_locally(job: Job, folder: Path, parts: Sequence[Part], told: Told, terms: Terms) -> Iterator[PartRecord]:
    """Process parts, and yield the record of each finished part.

    Args:
        job: The job.
        folder: The output folder.
        parts: The parts.
        told: Called with the numbers of rows done and of errors, from any thread.
        terms: The number of processes, and their settings.

    Raises:
        OnepassError, OSError: The error of the first part that failed; the other processes are killed.
    """
    with _Crew(job, folder, parts, told, terms) as crew:
        yield from crew.records()


class _Crew:
    """Workers, each with a thread, that take parts from one queue."""

    def __init__(self, job: Job, folder: Path, parts: Sequence[Part], told: Told, terms: Terms) -> None:
        self._told = told
        self._parts: SimpleQueue[Part | None] = SimpleQueue()
        self._ended: SimpleQueue[PartRecord | BaseException | None] = SimpleQueue()
        terms = replace(terms, workers=min(terms.workers or 1, len(parts)))
        self._workers = [Worker(job, folder, terms) for _ in range(terms.workers)]
        for each in (*parts, *(None for _ in self._workers)):
            self._parts.put(each)
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name="onepass-batch", daemon=True)
            for worker in self._workers
        ]

    def __enter__(self) -> _Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join()

    def records(self) -> Iterator[PartRecord]:
        """Yield records until all workers have ended or one has failed."""
        for _ in self._workers:
            while (record := self._ended.get()) is not None:
                if isinstance(record, BaseException):
                    raise record
                yield record

    def _work(self, worker: Worker) -> None:
        try:
            while (part := self._parts.get()) is not None:
                self._ended.put(worker.do(part, self._told))
        except BaseException as error:  # noqa: BLE001 - raised again in `records`
            self._ended.put(error)
        finally:
            worker.close()
            self._ended.put(None)
