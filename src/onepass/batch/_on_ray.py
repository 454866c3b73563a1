"""What runs on the machines of a Ray cluster: workers, and the count of what they have done."""

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
    """What an actor of Ray does: hand parts to a process of its own, as on a single machine."""

    def __init__(self, job: Mapping[str, Any], folder: str, terms: Mapping[str, Any], counter: Any) -> None:
        self._worker = Worker(Job.from_json(job), Path(folder), Terms(**terms))
        self._counter = counter

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Do a part; give back its record, or why there is none."""
        part = Part.from_json(json.loads(str(batch["part"][0])))

        def told(rows: int, errors: int) -> None:
            self._counter.add.remote(part.number, rows, errors)

        self._counter.begin.remote(part.number)
        try:
            return {"answer": [json.dumps({"done": asdict(self._worker.do(part, told))})]}
        except (OnepassError, OSError) as error:
            return {"answer": [json.dumps(failure(error))]}


class Count:
    """How many rows are done, for all workers of a batch."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[int, int]] = {}

    def begin(self, part: int) -> None:
        """Count a part from its beginning: a worker that is lost has told of some of its rows."""
        self._parts[part] = (0, 0)

    def add(self, part: int, rows: int, errors: int) -> None:
        """Add what a worker tells."""
        before = self._parts[part]
        self._parts[part] = (before[0] + rows, before[1] + errors)

    def so_far(self) -> tuple[int, int]:
        """Return rows and errors."""
        return sum(rows for rows, _ in self._parts.values()), sum(errors for _, errors in self._parts.values())
