"""A session's recordings: the tables of `onepass gaze` as files for download, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from onepass._errors import MediaError
from onepass.gaze.show.movements import MovementTable
from onepass.gaze.show.tables import Table, open_table
from onepass.gaze.stream import StreamResult

MAX_SECONDS = 4 * 3600.0
"""Maximum length of a recording, which then ends by itself."""

MOVEMENTS = "movements.csv"


def table_names() -> tuple[str, ...]:
    """Return a recording's files: first CSV, then Parquet if PyArrow is installed."""
    return ("gaze.csv", *(["gaze.parquet"] if find_spec("pyarrow") else []), MOVEMENTS)


class Recording:
    """Tables that grow with each result until they are closed."""

    def __init__(self, folder: Path, number: int) -> None:
        """Open the tables in a new folder.

        Args:
            folder: A session's folder.
            number: Number of the recording in the session.

        Raises:
            MediaError: The tables cannot be written.
        """
        self._number = number
        own = folder / str(number)
        try:
            own.mkdir()
        except OSError as error:
            raise MediaError(f"cannot record on the server's disk: {error.strerror or error}") from error
        self._movements = MovementTable(own / MOVEMENTS)
        with ExitStack() as stack:
            tables = [stack.enter_context(open_table(own / name)) for name in table_names() if name != MOVEMENTS]
            stack.enter_context(self._movements)
            self._tables: list[Table | MovementTable] = [*tables, self._movements]
            self._stack = stack.pop_all()
        self._start: float | None = None
        self._blinks = 0
        self.frames = 0
        self.seconds = 0.0

    def write(self, result: StreamResult, started_blinks: Sequence[int]) -> None:
        """Add a frame, and the numbers of the faces that started to blink in it.

        Raises:
            MediaError: The frame cannot be written.
        """
        for table in self._tables:
            table.write(result)
        self.frames += 1
        self._blinks += len(started_blinks)
        seconds = result.frame.seconds
        if seconds is not None:
            self._start = seconds if self._start is None else self._start
            self.seconds = seconds - self._start

    @property
    def is_full(self) -> bool:
        """Whether the recording has reached its maximum length."""
        return self.seconds >= MAX_SECONDS

    def close(self) -> dict[str, Any]:
        """Finish the tables, and return a summary: files, frames, seconds, fixations, saccades and blinks.

        Raises:
            MediaError: The tables cannot be finished.
        """
        self._stack.close()
        movements = Counter(movement.kind for _, movement in self._movements.movements())
        return {
            "files": [f"{self._number}/{name}" for name in table_names()],
            "frames": self.frames,
            "seconds": self.seconds,
            "fixations": movements["fixation"],
            "saccades": movements["saccade"],
            "blinks": self._blinks,
        }
