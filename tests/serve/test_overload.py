"""Many clients, clients that vanish, and models that fail: the server answers who can be answered, and goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import pytest

from onepass import Session, Signature, TensorSpec
from onepass.runtime.fake import FakeBackend
from onepass.serve import Limits, Server
from onepass.serve._messages import SERVICE
from onepass.serve.grpc_format import parsed_request
from onepass.web import Listening
from tests.serve.served import Array, Client, Gated, heads, json_request

_LOCAL = Listening(port=0)
_INFER = "/v2/models/gated/infer"
_BODY = json_request({"x": ("FP32", np.ones((1, 2), np.float32))})


def _message() -> bytes:
    request = parsed_request(b"")
    request.model_name = "gated"
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.ones(2, np.float32).tobytes())
    data: bytes = request.SerializeToString()
    return data


async def _http_status(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {_INFER} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    writer.write(head.encode() + _BODY)
    answer = await reader.read()
    writer.close()
    status, _, body = answer.partition(b"\r\n\r\n")
    if status[9:12] == b"503":
        assert "the queue is full" in json.loads(body)["error"]
    return status[9:12].decode()


def test_a_crowd_is_refused_at_once() -> None:
    """Of 400 clients at a line of 64, 64 are answered; the others are refused while the model still works."""
    backend = Gated()

    async def crowd(port: int, address: str) -> tuple[Counter[str], Counter[str]]:
        backend.hold()
        first = asyncio.ensure_future(_http_status(port))
        await asyncio.to_thread(backend.begun.acquire, timeout=30)
        http = [asyncio.ensure_future(_http_status(port)) for _ in range(200)]
        async with grpc.aio.insecure_channel(address) as channel:
            call = channel.unary_unary(f"/{SERVICE}/ModelInfer")

            async def ask() -> str:
                try:
                    await call(_message())
                except grpc.aio.AioRpcError as error:
                    return str(error.code().name)
                return "OK"

            rpcs = [asyncio.ensure_future(ask()) for _ in range(200)]
            pending: set[Any] = {*http, *rpcs}
            while len(pending) > 64:  # the model does not go on before all that do not fit were refused
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            backend.gate.set()
            assert await first == "200"
            return Counter(await asyncio.gather(*http)), Counter(await asyncio.gather(*rpcs))

    with (
        Session(backend) as session,
        Server({"gated": session}, _LOCAL, grpc_port=0, limits=Limits(max_queue=64)) as of,
    ):
        http, rpcs = asyncio.run(crowd(int(of.address.rpartition(":")[2]), str(of.grpc_address)))
        assert http["200"] + rpcs["OK"] == 64
        assert http + rpcs == Counter(
            {"200": http["200"], "503": 200 - http["200"], "OK": rpcs["OK"], "UNAVAILABLE": 200 - rpcs["OK"]}
        )
        client = Client(of.address)
        assert client.ask(_INFER, _BODY)[0] == 200, "afterwards there is room again"
        client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_clients_that_are_killed_free_their_place() -> None:
    """Clients that are killed while they wait are no longer in the line, and are not computed."""
    backend = Gated()
    http = (
        "import sys; from http.client import HTTPConnection; c = HTTPConnection(sys.argv[1]);"
        "c.request('POST', sys.argv[2], bytes.fromhex(sys.argv[3])); c.getresponse()"
    )
    rpc = (
        "import sys, grpc; c = grpc.insecure_channel(sys.argv[1]);"
        "c.unary_unary(sys.argv[2])(bytes.fromhex(sys.argv[3]))"
    )
    with Session(backend) as session, Server({"gated": session}, _LOCAL, grpc_port=0) as server:
        backend.hold()
        first = threading.Thread(target=_ask_once, args=(server,))
        first.start()
        assert backend.begun.acquire(timeout=30)
        line = server.models.find("gated").batcher
        killed = [
            subprocess.Popen([sys.executable, "-c", program, address, path, body.hex()])
            for program, address, path, body in (
                (http, server.address.removeprefix("http://"), _INFER, _BODY),
                (rpc, str(server.grpc_address), f"/{SERVICE}/ModelInfer", _message()),
            )
        ]
        _until(lambda: line.waiting == 2)
        for process in killed:
            process.send_signal(signal.SIGKILL)
            process.wait()
        _until(lambda: line.waiting == 0)
        backend.gate.set()
        first.join()
    assert backend.rows == [1]


def _ask_once(server: Server) -> None:
    client = Client(server.address)
    client.ask(_INFER, _BODY)
    client.close()


def _until(holds: Any) -> None:
    wait = threading.Event()
    for _ in range(3000):
        if holds():
            return
        wait.wait(0.01)
    raise AssertionError("it did not come to that in 30 seconds")


class Failing(FakeBackend):
    """A model that works until it is told otherwise."""

    broken = False

    def __init__(self) -> None:
        with heads() as session:
            super().__init__(session.signature, self._answer)

    def _answer(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        if self.broken:
            raise ValueError("the GPU fell off the bus")
        return self._zeros(feeds)


def test_a_model_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that fails is not ready, and each request is told; other models go on, and it may recover."""
    monkeypatch.setattr("onepass.serve.models._PROVEN_S", 0.0)
    backend, body = Failing(), json_request({"x": ("FP32", np.ones((1, 4), np.float32))})
    with (
        Session(backend) as failing,
        heads() as sound,
        Server({"failing": failing, "sound": sound}, _LOCAL, grpc_port=None) as server,
    ):
        client = Client(server.address)
        for broken, status in ((False, 200), (True, 503), (False, 200)):
            backend.broken = broken
            asked = client.ask("/v2/models/failing/infer", body)
            assert asked[0] == (500 if broken else 200)
            if broken:
                assert "the GPU fell off the bus" in json.loads(asked[1])["error"]
            assert client.ask("/v2/models/failing/ready")[0] == status
            assert client.ask("/v2/health/ready")[0] == status
            assert client.ask("/v2/models/sound/ready")[0] == 200
            assert client.ask("/v2/models/sound/infer", body)[0] == 200
            assert client.ask("/v2/health/live")[0] == 200
        client.close()
    assert {record.levelno for record in caplog.records} <= {logging.INFO, logging.WARNING}
    assert not any(record.exc_info for record in caplog.records), "what a model says needs no traceback"


@pytest.mark.parametrize("error", [ZeroDivisionError("of the backend"), SystemExit(3)], ids=repr)
def test_a_backend_with_a_bug_is_not_ready(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """A model that raises what no model should is not ready; its requests fail, and the server goes on."""
    monkeypatch.setattr("onepass.serve.models._PROVEN_S", 0.0)
    backend, body = Failing(), json_request({"x": ("FP32", np.ones((1, 4), np.float32))})

    def run(_feeds: object, _names: object) -> object:
        raise error

    with Session(backend) as failing, Server({"failing": failing}, _LOCAL, grpc_port=None) as server:
        client = Client(server.address)
        with monkeypatch.context() as patched:
            patched.setattr(backend, "run", run)
            assert client.ask("/v2/models/failing/ready")[0] == 503
            assert client.ask("/v2/models/failing/infer", body)[0] == 500
        assert client.ask("/v2/models/failing/ready")[0] == 200
        assert client.ask("/v2/models/failing/infer", body)[0] == 200
        client.close()


def test_faults_of_ours_are_logged_and_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a fault in the server its client is told no more than where the log is; the log has the request's id."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("onepass.serve.http_app.write_answer", broken)
    body = json_request({"x": ("FP32", np.ones((1, 4), np.float32))})
    with heads() as session, Server({"heads": session}, _LOCAL, grpc_port=None) as server:
        client = Client(server.address)
        status, text, _ = client.ask("/v2/models/heads/infer", body, X_Request_Id="seven")
        client.close()
    assert status == 500
    assert b"secret" not in text
    [record] = [each for each in caplog.records if each.exc_info]
    assert record.__dict__["fields"]["request_id"] == "seven"


def test_slow_and_vanishing_bodies() -> None:
    """A body that does not come in time is refused with 408; a client that leaves in the middle of one harms nobody."""
    with (
        heads() as session,
        Server({"heads": session}, _LOCAL, grpc_port=None, limits=Limits(body_seconds=0.2)) as server,
    ):
        port = int(server.address.rpartition(":")[2])
        for leaves in (True, False):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(
                    b"POST /v2/models/heads/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
                )
                if not leaves:
                    assert connection.recv(65536)[9:12] == b"408"
        client = Client(server.address)
        text = client.ask("/metrics")[1].decode()
        client.close()
    assert 'onepass_requests_total{model="heads",outcome="late_client",transport="http",version="1"} 1.0' in text


def test_bodies_together_are_bounded() -> None:
    """Bodies that would together take more memory than they may are refused before they are read."""
    with heads() as session, Server({"heads": session}, _LOCAL, grpc_port=None, limits=Limits(max_body_mb=1)) as server:
        port = int(server.address.rpartition(":")[2])
        head = b"POST /v2/models/heads/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"
        held = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(8)]
        for connection in held:
            connection.sendall(head + b"{")
        client = Client(server.address)
        _until(lambda: client.ask("/v2/models/heads/infer", b"{}")[0] == 503)
        for connection in held:
            connection.close()
        _until(lambda: client.ask("/v2/models/heads/infer", b"{}")[0] == 400)
        client.close()


def test_answers_that_nobody_reads_are_counted() -> None:
    """Answers that clients ask for and do not take fill the memory that there is, and no more: others are refused."""
    float32 = np.dtype("float32")
    signature = Signature((TensorSpec("x", float32, ("N", 2)),), (TensorSpec("y", float32, ("N", 4_000_000)),))
    large = json.dumps({**json.loads(_BODY), "parameters": {"binary_data_output": True}}).encode()
    request = f"POST {_INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(large)}\r\n\r\n".encode() + large
    limits = Limits(max_body_mb=4)  # 32 MiB of answers
    with (
        Session(FakeBackend(signature)) as session,
        Server({"gated": session}, _LOCAL, grpc_port=0, limits=limits) as of,
    ):
        address, held = ("127.0.0.1", int(of.address.rpartition(":")[2])), []
        client = Client(of.address)
        for _ in range(8):
            held.append(socket.create_connection(address, timeout=30))
            held[-1].sendall(request)
            assert held[-1].recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 503")
            if client.ask(_INFER, b"{}")[0] == 503:  # which would be 400
                break
        assert len(held) in (2, 3), "16 MB each, of which the system's buffers have some"
        for connection in held:
            connection.close()
        _until(lambda: client.ask(_INFER, b"{}")[0] == 400)
        client.close()


def test_a_request_may_say_how_long_it_waits() -> None:
    """A request whose time is over before its turn is told so, and leaves the line."""
    backend = Gated()
    with Session(backend) as session, Server({"gated": session}, _LOCAL, grpc_port=None) as server:
        backend.hold()
        first = threading.Thread(target=_ask_once, args=(server,))
        first.start()
        assert backend.begun.acquire(timeout=30)
        client = Client(server.address)
        body = json_request({"x": ("FP32", np.ones((1, 2), np.float32))}, parameters={"timeout": 20_000})
        status, text, _ = client.ask(_INFER, body)
        assert (status, b"timed out after 20000 microseconds" in text) == (504, True)
        assert server.models.find("gated").batcher.waiting == 0
        backend.gate.set()
        first.join()
        client.close()
