"""A worker process as its parent sees it: start it, send it parts, and notice when it dies."""

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

# If a process dies in a part, the next one processes the part row by row, which takes less memory and shows the row
# that ends the process. A row that ends two processes is the cause.
_ROW_TRIES = 2
# If a part has more such rows than this, the rows are not the cause, and the job ends.
_MOST_POISON = 16
_OPENING_TRIES, _OPENING_S = 2, 120.0  # the minimum time limit for opening a model, whatever `patience_s` is
_LAST_MOMENT_S = 5.0  # for a silent process to end by itself


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings that do not affect the results.

    Attributes:
        workers: Number of processes that share this machine's cores; 0 for the default.
        patience_s: A process silent for this many seconds is killed.
        stop: Whether a failed row stops the job.
    """

    workers: int
    patience_s: float
    stop: bool


class DiedError(Exception):
    """The process died, or was killed because it was silent for too long, before it finished its task."""


class Worker:
    """One worker process, started when needed, and restarted when it has died."""

    def __init__(self, job: Job, folder: Path, terms: Terms) -> None:
        """Prepare the process.

        Args:
            job: The job.
            folder: The output folder.
            terms: The settings.
        """
        self._model = str(job.model.path)
        place = str(folder.absolute())
        self._setting = {"job": job.to_json(), "folder": place, "workers": terms.workers, "stop": terms.stop}
        self._patience_s = terms.patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._stopped = False

    def do(self, part: Part, told: Callable[[int, int], None]) -> PartRecord:
        """Process a part, restarting the process if it dies.

        Args:
            part: The part.
            told: Called repeatedly with the number of rows done, and the number of errors among them. Negative numbers
                undo the counts of a part that is processed again.

        Raises:
            OnepassError: The model cannot be opened, or the process dies so often that no single row is the cause.
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
                        poison[at[-1]] = f"the process working on this row {death}, {_ROW_TRIES} times"
                if len(poison) > _MOST_POISON or deaths > 2 * _ROW_TRIES * _MOST_POISON:
                    raise BackendError(
                        f"{part.file}: the process {death}, {deaths} times at {len(blamed)} different rows of "
                        f"{part.rows}; the cause is not a single row"
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
        """Kill the process, from any thread; its current task ends with a `DiedError`."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def _begin(self) -> None:
        """Start the process if it is not running, and wait until its model is open."""
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
                        f"the process opening the model {self._model} {death}, before the first row"
                    ) from death

    def _start(self) -> None:
        # The child must find the same modules as this process, including the user's.
        places = [str(Path(onepass.__file__).parent.parent), *(place or str(Path.cwd()) for place in sys.path)]
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "onepass.batch._child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))},
        )  # fmt: skip
        answers: SimpleQueue[bytes] = SimpleQueue()
        self._answers = answers

        def listen() -> None:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
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
        with suppress(BrokenPipeError):  # reading the answer reports it
            process.stdin.write(json.dumps(said).encode() + b"\n")
            process.stdin.flush()

    def _answer(self, *, at_least_s: float = 0.0) -> dict[str, Any]:
        """Return the process's next message.

        Raises:
            DiedError: The process died or is silent.
            OnepassError, OSError: The process reported an error that another process would get, too.
        """
        seconds = max(self._patience_s, at_least_s)
        try:
            line = self._answers.get(timeout=seconds)
        except Empty:
            self._ended(0)
            raise DiedError(f"was silent for {seconds:g} s and was killed") from None
        if not line:
            raise DiedError(f"ended by {ending_text(self._ended(_LAST_MOMENT_S))}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            self._ended(_LAST_MOMENT_S)
            raise error_of(answer)
        return answer

    def _ended(self, seconds: float) -> int:
        """Wait for the process to end, kill it after this time, and return its exit status."""
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
        """End the idle process."""
        self._ended(0)
