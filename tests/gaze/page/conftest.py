"""What the tests of the page share: an open page without a network, and a server."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from onepass.gaze import GazeEstimator
from onepass.gaze.page import PageOptions, PageSession, page_app, page_server
from onepass.runtime import ModelSpec
from onepass.web import Listening, WebServer

pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
pytest.importorskip("starlette", reason="needs Starlette: pip install '.[page]'")

from .people import find_somebody


class Told:
    """What a session tells its page, to be read in order."""

    def __init__(self) -> None:
        self.messages: queue.Queue[tuple[dict[str, Any], bytes | None]] = queue.Queue()

    def __call__(self, message: Mapping[str, Any], /, picture: bytes | None = None) -> None:
        """Take a message."""
        self.messages.put((dict(message), picture))

    def next(self, kind: str | None = None) -> dict[str, Any]:
        """Return the next message, or the next of a kind; what is no such is passed over."""
        while True:
            message, picture = self.messages.get(timeout=20)
            if kind in (None, message["type"]):
                return {**message, "picture": picture}
            assert message["type"] != "problem", message


@pytest.fixture(scope="module")
def estimator() -> Iterator[GazeEstimator]:
    """The small network, with a finder that knows where the one is who is drawn."""
    with GazeEstimator.from_default(ModelSpec("small", threads=1), finder=find_somebody) as opened:
        yield opened


@pytest.fixture(scope="module")
def searching() -> Iterator[GazeEstimator]:
    """The small network with OpenCV's cascades, as `onepass gaze` has them."""
    with GazeEstimator.from_default("small", finder="cascades") as opened:
        yield opened


@pytest.fixture
def told() -> Told:
    """What the session of `open_session` tells."""
    return Told()


@pytest.fixture
def open_session(told: Told, tmp_path: Path) -> Iterator[Callable[..., PageSession]]:
    """Opens a session, which is closed after the test."""
    opened: list[PageSession] = []

    def open_(estimator: GazeEstimator, options: PageOptions | None = None) -> PageSession:
        session = PageSession(estimator, options or PageOptions(), tmp_path, told)
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.close()


def serve(
    estimator: GazeEstimator, options: PageOptions | None = None, listening: Listening | None = None
) -> WebServer:
    """Return a server of the page on a free port of loopback, to be used in a ``with`` block."""
    return page_server(page_app(estimator, options), listening or Listening(port=0))
