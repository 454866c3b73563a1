"""All open pages: each has a session, and a folder that outlives a broken connection for a while."""

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
"""Maximum number of open pages, which share one machine's computing time."""

KEPT_SECONDS = 600.0
"""How long recordings stay available after their page has disconnected."""


class Sessions:
    """The open sessions, by secret names. For one event loop."""

    def __init__(self, estimator: GazeEstimator, options: PageOptions) -> None:
        """Start without sessions.

        Raises:
            InputError: The calibration needs head poses, which the finder does not provide.
        """
        Learning(estimator.finder, options.calibration)  # fails early, before a page is open
        self._estimator, self._options = estimator, options
        self._folder = Path()
        self._open: dict[str, PageSession] = {}

    @contextmanager
    def with_folder(self) -> Iterator[None]:
        """Provide the folder for dropped files and recordings while sessions are opened and closed."""
        with TemporaryDirectory(prefix="onepass-page-") as folder:
            self._folder = Path(folder)
            yield

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about this server for every page."""
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
        """Number of open pages."""
        return len(self._open)

    def open(self, tell: Tell) -> tuple[str, PageSession]:
        """Open a session; return its name and the session."""
        name = secrets.token_urlsafe(16)
        folder = self._folder / name
        folder.mkdir()
        session = self._open[name] = PageSession(self._estimator, self._options, folder, tell)
        return name, session

    def get(self, name: str) -> PageSession | None:
        """Return an open session; None if it is closed."""
        return self._open.get(name)

    def recorded(self, session: str, number: int, name: str) -> Path | None:
        """Return a finished table of a session, open or closed; None if it does not exist."""
        path = (self._folder / session / str(number) / name).resolve()
        return path if path.is_relative_to(self._folder.resolve()) and path.is_file() else None

    async def close(self, name: str) -> None:
        """Close a session; its recordings stay available for a while."""
        session = self._open.pop(name)
        await asyncio.to_thread(session.close)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, rmtree, self._folder / name, True)
