"""The command `onepass gaze page`."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from onepass.cli import main
from onepass.gaze import calibrate
from onepass.gaze.screen.sample import Screen
from tests.gaze.test_calibration import Person


@contextmanager
def started(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; return it, and the address that it prints."""
    command = [sys.executable, "-m", "onepass", "gaze", "page", "--port", "0", "--model", "small", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()  # a test that fails leaves it running


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process by Ctrl-C in other ways")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_page_is_and_ends_in_order(number: int) -> None:
    """The command prints the page's address, answers there, and ends when it is told to, with status 0."""
    with started("--eye", "left") as (process, address):
        assert process.stdout is not None
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        assert process.stdout.readline() == "Press Ctrl-C to stop.\n"
        with urlopen(address, timeout=20) as answer:
            assert "<title>Gaze · onepass</title>" in answer.read().decode()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_it_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A calibration that the finder cannot serve, and a port that is none, are sentences, before anything is open."""
    samples, targets = Person(head=True).session()
    calibrate(samples, targets, Screen(1920, 1080)).save(tmp_path / "learned.json")
    for words, said in (
        (["--calibration", str(tmp_path / "learned.json")], "head poses"),
        (["--calibration", str(tmp_path / "none.json")], "cannot read the calibration"),
        (["--calibration", str(tmp_path / "learned.json"), "--eye", "left"], "a calibration uses both eyes"),
        (["--host", "no such host"], "host must be an address or a name"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["gaze", "page", "--port", "0", "--model", "small", "--finder", "cascades", *words])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_clients_that_leave_end_nothing() -> None:
    """Who closes the connection in the middle of an answer leaves the server to others."""
    with started() as (process, address):
        place = "127.0.0.1", int(address.strip("/").rpartition(":")[2])
        for _ in range(20):
            with socket.create_connection(place, timeout=20) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
                line = b"GET /static/main.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
                client.sendall(20 * line)
        with urlopen(address, timeout=20) as answer:
            assert answer.status == 200
        process.terminate()
        assert "Traceback" not in process.communicate(timeout=30)[1]
        assert process.returncode == 0
