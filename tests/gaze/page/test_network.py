"""The page's server on a real port: its files, its socket, what is dropped and what was recorded."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from onepass import InputError
from onepass.gaze import GazeEstimator, calibrate
from onepass.gaze.page import PageOptions, _uploads, page_app, sessions
from onepass.gaze.screen.sample import Screen
from onepass.web import Listening, WebServer
from tests.gaze.test_calibration import Person

from .conftest import serve
from .people import somebody
from .test_session import message_of


@pytest.fixture(scope="module")
def server(estimator: GazeEstimator) -> Iterator[WebServer]:
    """A server of the page."""
    with serve(estimator) as started:
        yield started


@contextmanager
def page_of(server: WebServer, **options: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """Open a page's socket; return it with its greeting."""
    with connect(server.address.replace("http", "ws") + "/session", compression=None, **options) as socket:
        yield socket, json.loads(socket.recv(timeout=20))


def asked(server: WebServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Ask for a path as it stands; return status and body, which may be JSON."""
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if "json" in answer.headers.get("content-type", "") else content
    finally:
        connection.close()


def next_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        data = socket.recv(timeout=20)
        if isinstance(data, str) and (message := json.loads(data))["type"] == kind:
            return dict(message)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for as long as a slow machine may take."""
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it does not come")


def test_a_page_from_beginning_to_end(searching: GazeEstimator) -> None:
    """A camera's frames come back as faces; what was recorded is there after the page has gone, and nothing else."""
    with serve(searching) as server:
        with page_of(server) as (socket, hello):
            assert (hello["finder"], hello["model"], hello["points"]) == ("cascades", "elg_60x36", [5, 9, 13])
            assert hello["pages"] == 1
            socket.send(json.dumps({"type": "camera"}))
            next_of(socket, "started")
            socket.send(json.dumps({"type": "record", "on": True}))
            socket.send(message_of(somebody(names=("ann", "ben"), size=(480, 240)), 0, 0.0))
            result = next_of(socket, "result")
            assert [face["id"] for face in result["faces"]] == [0, 1]
            folder = f"/sessions/{hello['session']}"
            assert asked(server, "GET", f"{folder}/0/gaze.csv")[0] == 404  # it is not finished
        until(lambda: asked(server, "GET", f"{folder}/0/gaze.csv")[0] == 200)
        _, table = asked(server, "GET", f"{folder}/0/gaze.csv")
        assert table.count(b"\n") == 5  # the names of the columns, and four eyes
        assert asked(server, "HEAD", f"{folder}/0/gaze.csv")[0] == 200
        for path in (
            f"{folder}/1/gaze.csv",
            f"{folder}/0/..%2f..%2fgaze.csv",
            "/sessions/../0/gaze.csv",
            f"{folder}/0/x",
        ):
            assert asked(server, "GET", path)[0] == 404, path


def test_the_page_takes_nothing_from_others(server: WebServer) -> None:
    """Every answer bears a policy that forbids other servers; the page names files of its own only."""
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=20)
    for path in ("/", "/static/main.js", "/static/style.css", "/static/eye.svg"):
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert answer.headers["permissions-policy"].startswith("camera=(self)")
        assert re.findall(r"https?://(?!www\.w3\.org)", text) == []
    connection.close()


def test_foreign_pages_are_refused(server: WebServer) -> None:
    """A page of another origin gets no socket, and a name that was turned to this machine no page."""
    with pytest.raises(InvalidStatus, match="403"), page_of(server, origin="http://evil.example"):
        pass
    assert asked(server, "GET", "/", Host="evil.example")[0] == 403


def test_with_a_token(estimator: GazeEstimator) -> None:
    """Where a token is asked for, the address with it sets a cookie, with which the socket opens."""
    with serve(estimator, listening=Listening(port=0, token="let-me-in-now")) as server:
        assert asked(server, "GET", "/")[0] == 401
        with pytest.raises(InvalidStatus, match="403"), page_of(server):
            pass
        connection = HTTPConnection(urlsplit(server.address).netloc, timeout=20)
        connection.request("GET", "/?token=let-me-in-now")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].partition(";")[0]
        connection.close()
        with page_of(server, additional_headers={"Cookie": cookie}) as (_, hello):
            assert hello["type"] == "hello"


@pytest.mark.parametrize("message", [b"", b"short", "no JSON", "[]", "x" * (2 << 20)])
def test_what_is_no_message_ends_the_connection(server: WebServer, message: bytes | str) -> None:
    """A page that sends something else is told why, and its connection is closed; others go on."""
    with page_of(server) as (socket, _), page_of(server) as (other, _):
        socket.send(json.dumps({"type": "camera"}))
        next_of(socket, "started")
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert closed.value.rcvd.reason
        other.send(json.dumps({"type": "stop"}))
        assert next_of(other, "stopped")


def test_too_many_pages(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages know how many there are; one more than may be is told so, and has a place when another has gone."""
    monkeypatch.setattr("onepass.gaze.page._socket.MAX_SESSIONS", 2)
    with page_of(server), page_of(server) as (_, second):
        assert second["pages"] == 2
        with pytest.raises(ConnectionClosed, match="the limit of 2 open pages"), page_of(server):
            pass

    def has_place() -> bool:
        with page_of(server) as (_, hello):
            return bool(hello["pages"] == 1)

    until(has_place)


def test_dropped_files_are_bounded(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file goes to a session that is open, under a name, and is no larger than may be; nothing of it stays."""
    monkeypatch.setattr(_uploads, "MAX_FILE_BYTES", 1000)
    with page_of(server) as (socket, hello):
        place = f"/sessions/{hello['session']}/dropped"
        assert asked(server, "POST", f"{place}?name=a.png", b"x" * 1001)[0] == 413
        chunks = asked(server, "POST", f"{place}?name=a.png", None)  # nothing at all
        assert chunks[0] == 204
        assert asked(server, "POST", f"{place}?name=..", b"x")[0] == 400
        assert asked(server, "POST", place, b"x")[0] == 400
        assert asked(server, "POST", "/sessions/other/dropped?name=a.png", b"x")[0] == 404
        assert asked(server, "POST", f"{place}?name=a.png", b"x" * 1000)[0] == 204
        socket.send(json.dumps({"type": "file"}))
        assert next_of(socket, "ended")["text"].startswith("a.png contains no frame that can be decoded")


def is_gone(folder: Path) -> bool:
    """Whether there is no such folder."""
    return not folder.exists()


def test_what_was_recorded_goes_after_a_while(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, estimator: GazeEstimator
) -> None:
    """After its time, and when the server ends, nothing of a session is left on the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serve(estimator) as other:
        for kept in (600.0, 0.0):
            monkeypatch.setattr(sessions, "KEPT_SECONDS", kept)
            with page_of(other) as (socket, hello):
                socket.send(json.dumps({"type": "record", "on": True}))
                next_of(socket, "recording")
            [folder] = tmp_path.glob(f"*/{hello['session']}")
            until((folder / "0" / "gaze.csv").is_file if kept else partial(is_gone, folder))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_says_so(estimator: GazeEstimator) -> None:
    """Open pages are told when the server ends, also while they look at something, and it ends at once."""
    with serve(estimator) as server:
        with page_of(server) as (socket, _):
            socket.send(json.dumps({"type": "camera"}))
            next_of(socket, "started")
            server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


def test_a_calibration_that_cannot_be_is_told_at_once(searching: GazeEstimator) -> None:
    """One that needs heads is refused before the page is open, where the finder sees none."""
    samples, targets = Person(head=True).session()
    with pytest.raises(InputError, match="head poses"):
        page_app(searching, PageOptions(calibration=calibrate(samples, targets, Screen(1920, 1080))))
