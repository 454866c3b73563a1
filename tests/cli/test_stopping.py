"""Commands end by Ctrl-C and in the time they are given, though the model never ends."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.endless import endless


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends."""
    path = tmp_path_factory.mktemp("endless") / "endless.onnx"
    path.write_bytes(endless().SerializeToString())
    return path


def _start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "onepass", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _commands(model: Path, timeout: Sequence[str] = ()) -> list[list[object]]:
    return [
        ["run", model, "--random", *timeout],
        ["compare", model, model, *timeout],
        ["bench", model, *timeout],
        ["convert", model, "-o", model.with_name("other.onnx"), *timeout],
    ]


def test_timeout(model: Path) -> None:
    """An endless model ends in a sentence that names the limit and the option; nothing is written."""
    for started in [_start(*words) for words in _commands(model, ["--timeout", "1.5"])]:
        out, err = started.communicate(timeout=60)
        assert started.returncode == 2, (out, err)
        assert "not done after 1.5 s" in err
        assert "a greater --timeout gives it longer" in err
        assert "Traceback" not in err
    assert not model.with_name("other.onnx").exists()


def test_ctrl_c(model: Path) -> None:
    """Ctrl-C ends a command while its model computes, as it ends any other program."""
    started = [_start(*words) for words in _commands(model)]
    for each in started:
        with pytest.raises(subprocess.TimeoutExpired):
            each.wait(1.5)
        each.send_signal(signal.SIGINT)
    for each in started:
        _, err = each.communicate(timeout=60)
        assert each.returncode == 130
        assert err.strip() == "onepass: interrupted"
    assert not model.with_name("other.onnx").exists()
