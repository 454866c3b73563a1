"""A web server of onepass on a real port: its beginning, its end, and clients that draw things out."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from onepass.web import Listening, Refusal, WebServer, _protocol, body_of

_HERE = Path(__file__).parent


class App:
    """Answers with the body that it gets; ``/wait`` waits until it may end."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_end = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": (await receive())["type"] + ".complete"})
            return
        try:
            body = await body_of(scope, receive, most_bytes=1000, seconds=0.3)
        except Refusal as refusal:
            await refusal(scope, receive, send)
            return
        self.asked.set()
        while scope["path"] == "/wait" and not self.may_end.is_set():
            await asyncio.sleep(0.01)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def raw(server: WebServer) -> Iterator[socket.socket]:
    """Connect to a server, and say nothing yet."""
    with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    """Serve an application, patient for half a second only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_protocol, "HEAD_SECONDS", 0.3)
        patch.setattr(_protocol, "LINGER_SECONDS", 0.3)
        with WebServer(App(), Listening(port=0)) as running:
            yield running


def test_it_answers(server: WebServer) -> None:
    """One connection carries many requests."""
    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=10)
    for body in (b"one", b"", b"three"):
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, body)
    connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "], ids=["nothing", "half a head"])
def test_slow_heads_are_not_waited_for(server: WebServer, sent: bytes) -> None:
    """A connection on which no whole head comes is closed in time, with 408 where one had begun."""
    with raw(server) as connection:
        connection.sendall(sent)
        assert read_all(connection)[9:12] == (b"408" if sent else b"")


def test_slow_bodies_are_not_waited_for(server: WebServer) -> None:
    """A body that does not come in time is given up with 408, and the connection closed."""
    with raw(server) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_long_heads_are_refused(server: WebServer) -> None:
    """Headers without end are refused, rather than kept."""
    with raw(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"x" * 2 * _protocol.MOST_HEAD_BYTES)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_large_bodies_are_refused_and_told(server: WebServer) -> None:
    """A client that sends all of a body that is too long before it reads is told so nevertheless."""
    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=10)
    connection.request("POST", "/", b"x" * 3_000_000)
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"].endswith("this server accepts at most 1,000 bytes")
    connection.request("POST", "/", b"small")
    assert connection.getresponse().read() == b"small", "the connection goes on"
    connection.close()


def test_a_refused_body_without_end_is_cut(server: WebServer) -> None:
    """Of a refused body no more is thrown away than for a moment; then the connection closes."""
    with raw(server) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
)
def test_what_is_no_http_is_refused(server: WebServer, sent: bytes) -> None:
    """Bytes that are no HTTP get a 400."""
    with raw(server) as connection:
        connection.sendall(sent)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("spoilt", [b"\0garbage\r\n\r\n", b"12345"])
def test_what_was_whole_is_answered_first(server: WebServer, spoilt: bytes) -> None:
    """Requests that come before bytes that are no HTTP are answered before those are refused."""
    good = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
    with raw(server) as connection:
        connection.sendall(good + b"one" + good + b"two" + good + b"end" + spoilt + b"\r\n\r\n")
        answer = read_all(connection)
    assert [answer.count(word) for word in (b"HTTP/1.1 200", b"one", b"two", b"end", b"HTTP/1.1 400")] == [
        3,
        1,
        1,
        1,
        1,
    ]
    assert answer.endswith(b'{"error": "Invalid HTTP request received."}')


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Answer with 50 MB."""
    if scope["type"] == "lifespan":
        await App()(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"50000000")]})
    await send({"type": "http.response.body", "body": bytes(50_000_000)})


@pytest.mark.parametrize(("patience", "whole"), [(0.2, False), (30.0, True)])
def test_who_reads_nothing_is_cut(monkeypatch: pytest.MonkeyPatch, patience: float, whole: bool) -> None:
    """A client that takes nothing of a large answer for too long is cut; one that is slow gets it whole."""
    monkeypatch.setattr(_protocol, "READ_SECONDS", patience)
    listening, settings = Listening(port=0), {"timeout_keep_alive": 0.3}
    with WebServer(large, listening, settings=settings) as server, raw(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)
        assert (len(read_all(connection)) > 50_000_000) == whole


@pytest.mark.usefixtures("no_thread_is_left")
def test_stopping_answers_what_is_under_way() -> None:
    """A request that is under way when the server stops is answered; the port is free afterwards."""
    app = App()
    server = WebServer(app, Listening(port=0))
    address = server.start()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(urlopen(f"{address}/wait", data=b"late").read()))
    client.start()
    assert app.asked.wait(10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    app.may_end.set()
    client.join()
    stopping.join()
    assert answers == [b"late"]
    Listening(port=int(address.rpartition(":")[2])).bind().close()
    server.stop()


@pytest.mark.usefixtures("no_thread_is_left")
def test_what_runs_beside_begins_and_ends_with_it() -> None:
    """What runs beside begins before the first request and ends with the server; if it does not begin, nothing does."""
    said: list[str] = []

    class Neighbour:
        async def start(self) -> None:
            said.append("start")
            if said.count("start") == 2:
                raise OSError("no room")

        async def stop(self, seconds: float) -> None:
            said.append(f"stop {seconds:.0f}")

    with WebServer(App(), Listening(port=0), beside=[Neighbour()], grace_seconds=3):
        assert said == ["start"]
    assert said == ["start", "stop 3"]
    with pytest.raises(OSError, match="no room"):
        WebServer(App(), Listening(port=0), beside=[Neighbour()]).start()


def test_tls() -> None:
    """With a certificate, the server speaks TLS."""
    listening = Listening(port=0, tls_cert=_HERE / "localhost.pem", tls_key=_HERE / "localhost.key")
    context = ssl.create_default_context(cafile=_HERE / "localhost.pem")
    with WebServer(App(), listening) as server, urlopen(server.address, data=b"x", context=context) as answer:
        assert answer.read() == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end a server in the foreground in order: `run` returns."""
    program = (
        "from onepass.web import *; from tests.web.test_server import App; s = WebServer(App(), Listening(port=0));"
        "s.run(lambda: print(s.address, flush=True)); print('ended')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert process.communicate(timeout=20)[0] == "ended\n"
        assert process.returncode == 0
