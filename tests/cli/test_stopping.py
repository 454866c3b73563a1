"""Commands end by Ctrl-C and in the time they are given, though the model never ends."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.endless import endless


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends."""
    path = tmp_path_factory.mktemp("endless") / "endless.onnx"
    path.write_bytes(endless().SerializeToString())
    return path


def _start(*words: object, program: Sequence[str] = ("-m", "onepass")) -> subprocess.Popen[str]:
    command = [sys.executable, *program, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def _ended(started: subprocess.Popen[str]) -> Iterator[None]:
    """See to it that an endless program does not outlive the test."""
    try:
        yield
    finally:
        started.kill()


def _commands(model: Path) -> list[list[object]]:
    return [
        ["run", model, "--random"],
        ["compare", model, model],
        ["convert", model, "-o", model.with_name("other.onnx")],
    ]


def test_timeout(model: Path) -> None:
    """An endless model ends in a sentence that names the limit and the option; nothing is written."""
    for started in [_start(*words, "--timeout", "1.5") for words in [*_commands(model), ["bench", model]]]:
        with _ended(started):
            out, err = started.communicate(timeout=60)
        assert started.returncode == 2, (out, err)
        assert "1.5 s" in err
        assert "--timeout" in err
        assert "Traceback" not in err
    assert not model.with_name("other.onnx").exists()


_STRUCK = """
import os, signal, sys, threading, time
from onepass.cli import main

def strike(thread):
    # Python's frame that calls ONNX Runtime is the innermost while a model computes.
    while not sys._current_frames()[thread].f_code.co_filename.endswith("onnxruntime_inference_collection.py"):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=strike, args=(threading.get_ident(),), daemon=True).start()
main(sys.argv[1:])
"""


def test_ctrl_c(model: Path) -> None:
    """Ctrl-C ends a command while its model computes, as it ends any other program."""
    for started in [_start(*words, program=["-c", _STRUCK]) for words in _commands(model)]:
        with _ended(started):
            out, err = started.communicate(timeout=60)
        assert started.returncode == 130, (out, err)
        assert err.strip() == "onepass: interrupted"
    assert not model.with_name("other.onnx").exists()
