"""All pages that are open: each has its session, and a folder that outlives a broken connection for a while."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.find.faces import name_of
from onepass.gaze.page.learning import Learning
from onepass.gaze.page.recording import table_names
from onepass.gaze.page.session import PageOptions, PageSession, Tell
from onepass.gaze.screen.sample import POINT_COUNTS

MAX_SESSIONS = 8
"""How many pages may be open at once: they share one machine's time."""

KEPT_SECONDS = 600.0
"""How long what was recorded is there after its page has gone, or its connection has broken."""


class Sessions:
    """The open sessions, by secret names. For one event loop."""

    def __init__(self, estimator: GazeEstimator, options: PageOptions) -> None:
        """Begin with none.

        Raises:
            InputError: The calibration needs head poses, which the finder does not see.
        """
        Learning(estimator.finder, options.calibration)  # told before a page is open
        self._estimator, self._options = estimator, options
        self._folder = Path()
        self._open: dict[str, PageSession] = {}

    @contextmanager
    def with_folder(self) -> Iterator[None]:
        """Have a folder for what is dropped and recorded; sessions are opened and closed meanwhile."""
        with TemporaryDirectory(prefix="onepass-page-") as folder:
            self._folder = Path(folder)
            yield

    @property
    def facts(self) -> dict[str, Any]:
        """What every page is told of this machine, and how it looks."""
        learned = self._options.calibration
        return {
            "model": Path(self._estimator.session.name).stem,
            "finder": name_of(self._estimator.finder),
            "eye": self._options.eye,
            "calibration": None if learned is None else learned.to_json(),
            "points": POINT_COUNTS,
            "tables": table_names(),
        }

    @property
    def count(self) -> int:
        """How many pages are open."""
        return len(self._open)

    def open(self, tell: Tell) -> tuple[str, PageSession]:
        """Open a session, and return its name, too."""
        name = secrets.token_urlsafe(16)
        folder = self._folder / name
        folder.mkdir()
        session = self._open[name] = PageSession(self._estimator, self._options, folder, tell)
        return name, session

    def get(self, name: str) -> PageSession | None:
        """Return an open session; None where it is open no more."""
        return self._open.get(name)

    def recorded(self, session: str, number: int, name: str) -> Path | None:
        """Return a finished table of a session, which need not be open any more; None where there is none."""
        path = (self._folder / session / str(number) / name).resolve()
        return path if path.is_relative_to(self._folder.resolve()) and path.is_file() else None

    async def close(self, name: str) -> None:
        """Close a session; what it recorded is there for a while."""
        session = self._open.pop(name)
        await asyncio.to_thread(session.close)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, rmtree, self._folder / name, True)
