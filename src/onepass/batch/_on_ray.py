"""Code that runs on the machines of a Ray cluster: workers, and the counter of finished rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onepass._errors import OnepassError
from onepass.batch._failures import failure
from onepass.batch._inputs import Part
from onepass.batch._job import Job
from onepass.batch._worker import Terms, Worker


class PartOnRay:
    """A Ray actor that passes parts to its own worker process, as on a single machine."""

    def __init__(self, job: Mapping[str, Any], folder: str, terms: Mapping[str, Any], counter: Any) -> None:
        self._worker = Worker(Job.from_json(job), Path(folder), Terms(**terms))
        self._counter = counter

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Process a part; return its record or its error."""
        part = Part.from_json(json.loads(str(batch["part"][0])))

        def told(rows: int, errors: int) -> None:
            self._counter.add.remote(part.number, rows, errors)

        self._counter.begin.remote(part.number)
        try:
            return {"answer": [json.dumps({"done": asdict(self._worker.do(part, told))})]}
        except (OnepassError, OSError) as error:
            return {"answer": [json.dumps(failure(error))]}


class Count:
    """The number of finished rows, for all workers of a job."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[int, int]] = {}

    def begin(self, part: int) -> None:
        """Reset a part's count: a lost worker may have reported some of its rows."""
        self._parts[part] = (0, 0)

    def add(self, part: int, rows: int, errors: int) -> None:
        """Add a worker's numbers."""
        before = self._parts[part]
        self._parts[part] = (before[0] + rows, before[1] + errors)

    def so_far(self) -> tuple[int, int]:
        """Return the total numbers of rows and errors."""
        return sum(rows for rows, _ in self._parts.values()), sum(errors for _, errors in self._parts.values())
