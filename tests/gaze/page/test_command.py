"""The command `onepass gaze page`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from onepass.cli import main
from onepass.gaze import calibrate
from onepass.gaze.screen.sample import Screen
from tests.gaze.test_calibration import Person


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process by Ctrl-C in other ways")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_page_is_and_ends_in_order(number: int) -> None:
    """The command prints the page's address, answers there, and ends when it is told to, with status 0."""
    command = [sys.executable, "-m", "onepass", "gaze", "page", "--port", "0", "--model", "small", "--eye", "left"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        assert process.stdout.readline() == "Ctrl-C ends it.\n"
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
        (["--calibration", str(tmp_path / "learned.json"), "--eye", "left"], "a calibration is made of both eyes"),
        (["--host", "no such host"], "host is an address or a name"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["gaze", "page", "--port", "0", "--model", "small", "--finder", "cascades", *words])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
