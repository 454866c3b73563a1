"""A process that does parts, seen from the one that started it: what it is at, and whether it is still alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import onepass
from onepass._errors import BackendError
from onepass._programs import ending_text
from onepass.batch._failures import error_of
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch.manifest import PartRecord

# A process that ends in a part is followed by another, which does the part row by row: that takes less memory, and
# tells at which row it ends. A row over which two have ended is the cause.
_ROW_TRIES = 2
# Parts with more such rows than this end the job: it is not the rows.
_MOST_POISON = 16
_OPENING_TRIES, _OPENING_S = 2, 120.0  # and no less time for it, however little patience there is
_LAST_MOMENT_S = 5.0  # for a process that says no more to end


@dataclass(frozen=True, slots=True)
class Terms:
    """How work is done, which decides nothing about its results.

    Attributes:
        workers: How many processes share this machine's cores; 0 where nobody says.
        patience_s: After how many seconds without a sign of life a process is ended.
        stop: Whether a row that fails ends the job.
    """

    workers: int
    patience_s: float
    stop: bool


class DiedError(Exception):
    """The process ended, or was ended since it said nothing for too long, before it had done what it was told."""


class Worker:
    """One process that does parts, begun when it is needed, and again when it has ended."""

    def __init__(self, job: Job, folder: Path, terms: Terms) -> None:
        """Prepare the process.

        Args:
            job: What it does.
            folder: Where the files go.
            terms: How it is done.
        """
        self._model = str(job.model.path)
        place = str(folder.absolute())
        self._setting = {"job": job.to_json(), "folder": place, "workers": terms.workers, "stop": terms.stop}
        self._patience_s = terms.patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._stopped = False

    def do(self, part: Part, told: Callable[[int, int], None]) -> PartRecord:
        """Do a part, whatever ends the process meanwhile.

        Args:
            part: The part.
            told: Called with how many rows are done, and how many of these have an error, again and again. What was
                counted of a part that is done again is taken back.

        Raises:
            OnepassError: The model cannot be opened, or so many rows end the process that it is not the rows.
            OSError: The file cannot be written.
        """
        poison: dict[int, str] = {}
        blamed: Counter[int] = Counter()
        deaths = 0
        while True:
            counted = [0, 0]
            at: list[int] = []

            def count(rows: int, errors: int, counted: list[int] = counted) -> None:
                counted[0] += rows
                counted[1] += errors
                told(rows, errors)

            try:
                return self._once(part, poison, deaths > 0, count, at)
            except DiedError as death:
                told(-counted[0], -counted[1])
                deaths += 1
                if at:
                    blamed[at[-1]] += 1
                    if blamed[at[-1]] >= _ROW_TRIES:
                        poison[at[-1]] = f"the process that worked on this row {death}, {_ROW_TRIES} times"
                if len(poison) > _MOST_POISON or deaths > 2 * _ROW_TRIES * _MOST_POISON:
                    raise BackendError(
                        f"{part.file}: the process {death} again and again, {deaths} times over {len(blamed)} rows of "
                        f"{part.rows}; what stands in the way is not a single row"
                    ) from death

    def _once(
        self, part: Part, poison: dict[int, str], careful: bool, count: Callable[[int, int], None], at: list[int]
    ) -> PartRecord:
        self._begin()
        self._tell({"part": part.to_json(), "poison": poison, "careful": careful})
        while True:
            answer = self._answer()
            if "done" in answer:
                return PartRecord(**answer["done"])
            if "row" in answer:
                at[:] = [answer["row"]]
            else:
                count(answer["rows"], answer["errors"])

    def stop(self) -> None:
        """End the process at once, from any thread; what it does ends with a `DiedError`."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def _begin(self) -> None:
        """Start the process where none is running, and wait until its model is open."""
        for attempt in range(_OPENING_TRIES):
            if self._process is not None:
                return
            try:
                self._start()
                self._tell(self._setting)
                self._answer(at_least_s=_OPENING_S)
            except DiedError as death:
                if attempt + 1 == _OPENING_TRIES:
                    raise BackendError(
                        f"the process that opens {self._model} {death}, before a row was begun"
                    ) from death

    def _start(self) -> None:
        # Where this process finds modules, the user's among them, that one does too.
        places = [str(Path(onepass.__file__).parent.parent), *(place or str(Path.cwd()) for place in sys.path)]
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "onepass.batch._child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))},
        )  # fmt: skip
        answers: SimpleQueue[bytes] = SimpleQueue()
        self._answers = answers

        def listen() -> None:
            assert process.stdout is not None  # noqa: S101 - a pipe, as asked for
            with process.stdout as lines:
                for line in lines:
                    answers.put(line)
            answers.put(b"")

        threading.Thread(target=listen, name="onepass-batch-answers", daemon=True).start()
        if self._stopped:
            process.kill()

    def _tell(self, said: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise DiedError("was ended")
        with suppress(BrokenPipeError):  # its answers, or that there are none, say so
            process.stdin.write(json.dumps(said).encode() + b"\n")
            process.stdin.flush()

    def _answer(self, *, at_least_s: float = 0.0) -> dict[str, Any]:
        """Return what the process says next.

        Raises:
            DiedError: It says nothing more.
            OnepassError, OSError: It failed at something that another could not do either.
        """
        seconds = max(self._patience_s, at_least_s)
        try:
            line = self._answers.get(timeout=seconds)
        except Empty:
            self._ended(0)
            raise DiedError(f"said nothing for {seconds:g} s and was ended") from None
        if not line:
            raise DiedError(f"ended by {ending_text(self._ended(_LAST_MOMENT_S))}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            self._ended(_LAST_MOMENT_S)
            raise error_of(answer)
        return answer

    def _ended(self, seconds: float) -> int:
        """Wait so long for the process to end by itself, then end it; return its status."""
        process, self._process = self._process, None
        if process is None:
            return -9
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]

    def close(self) -> None:
        """End the process, which has nothing to do."""
        self._ended(0)
