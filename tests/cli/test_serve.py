"""``onepass serve``: how models are named, what it says, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import onepass.gaze
from onepass import InputError
from onepass.cli.serve import named_models
from tests.cli.shell import Shell
from tests.zoo import model

_ELG = Path(onepass.gaze.__file__).parent / "data" / onepass.gaze.PACKAGED_MODELS["small"]


@contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the command; give its process, what it said until it served, and its address."""
    command = [sys.executable, "-m", "onepass", "serve", *words, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            while not (found := re.search(r"serving on (http://\S+?)(,|\n)", said)):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield process, said, found[1]
        finally:
            process.kill()


def test_it_serves_until_it_is_told(tmp_path: Path) -> None:
    """It says what it serves and where, logs refused requests as JSON, and ends in order at SIGTERM."""
    with serving(f"eyes={_ELG}", "--grpc-port", "0", "--log-level", "info") as (process, said, address):
        assert re.match(r"eyes, version 1: .*\.onnx, up to 32 rows per pass\n", said)
        assert re.search(r", gRPC on 127\.0\.0\.1:\d+\n", said)
        assert json.load(urlopen(f"{address}/v2/models/eyes"))["name"] == "eyes"
        asked = Request(f"{address}/v2/models/eyes/infer", b"{}", {"X-Request-Id": "seven"})
        with pytest.raises(HTTPError, match="400"):
            urlopen(asked)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0
    line = json.loads(rest)
    assert (line["level"], line["request_id"], line["model"], line["kind"]) == ("info", "seven", "eyes", "invalid")


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    """On an address that others reach a token is made up and shown, or read from a file; health needs none."""
    with serving(str(_ELG), "--host", "0.0.0.0", "--no-grpc") as (_, said, address):
        made = re.search(r"other machines can reach 0\.0\.0\.0, without TLS: .*; the token is (\S+)\n", said)
        assert made is not None
        here = address.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{here}/v2")
        assert urlopen(f"{here}/v2/health/ready").status == 200
        assert urlopen(Request(f"{here}/v2", headers={"Authorization": f"Bearer {made[1]}"})).status == 200


def test_clients_that_leave_do_not_end_it(tmp_path: Path) -> None:
    """A client that asks for much, reads nothing and leaves does not end the command, which others are served by."""
    model("(float[N] x) => (float[N] y) { y = Identity (x) }").save(tmp_path / "echo.onnx")
    data = bytes(16_000_000)
    tensor = {"name": "x", "datatype": "FP32", "shape": [4_000_000], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    with serving(str(tmp_path / "echo.onnx"), "--no-grpc") as (process, _, address):
        for reads in (0, 12, 0, 12, 0):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=30) as connection:
                connection.sendall(
                    b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: localhost\r\n"
                    b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(head), len(head + data))
                )
                connection.sendall(head + data)
                assert connection.recv(reads) == b"HTTP/1.1 200"[:reads]
        assert json.load(urlopen(f"{address}/v2/models/echo"))["name"] == "echo"
        assert process.poll() is None


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model has its file's name, or the one given, in a version; what stands behind the @ goes before options."""
    monkeypatch.chdir(tmp_path)
    Path("odd=name.onnx").touch()
    found = named_models(
        ("my model.onnx", "faces:2=new.onnx@threads=2", "faces=old.onnx", "odd=name.onnx", ".onnx"), {"threads": 4}
    )
    assert {name: list(versions) for name, versions in found.items()} == {
        "my-model": ["1"], "faces": ["2", "1"], "odd-name": ["1"], "onnx": ["1"],
    }  # fmt: skip
    assert [spec.threads for spec in found["faces"].values()] == [2, 4]
    with pytest.raises(InputError, match=r"are both named a, version 1; .* another version, a:2=a\.onnx"):
        named_models(("b/a.onnx", "a.onnx"), {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.onnx"], "no model file at missing.onnx"),
        (["a/b=here.onnx"], "'a/b' is not a valid name for here.onnx: a name consists of letters, digits"),
        (["a:x=here.onnx"], "'a:x' is not a valid name for here.onnx"),
        (["=here.onnx"], "'' is not a valid name for here.onnx"),
        ([_ELG, "--tls-cert", "a.pem"], "TLS needs both --tls-cert and --tls-key"),
        ([_ELG, "--token-file", "missing"], "missing: No such file"),
        ([_ELG, "--host", "http://here"], "host must be an address or a name"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    """What keeps a server from starting is said in one sentence, in the command's own words."""
    monkeypatch.chdir(tmp_path)
    Path("here.onnx").touch()
    assert message in Shell(capsys).fails("serve", "--port", "0", "--no-grpc", *words)


def test_a_file_that_holds_no_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that holds no token is named."""
    (tmp_path / "token").write_bytes(b"\xff" * 20)
    said = Shell(capsys).fails("serve", _ELG, "--token-file", tmp_path / "token")
    assert "token does not contain a token: token must have 8 to 1024 characters" in said


def test_a_taken_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a port that is taken, of HTTP or gRPC, the option is named."""
    with serving(str(_ELG), "--no-grpc") as (_, _, address):
        port = address.rpartition(":")[2]
        shell = Shell(capsys)
        assert "choose another, or --port 0" in shell.fails("serve", _ELG, "--port", port)
        assert "choose another, or --grpc-port 0" in shell.fails("serve", _ELG, "--port", "0", "--grpc-port", port)
