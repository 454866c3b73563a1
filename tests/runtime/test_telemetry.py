"""ONNX Runtime reports to nobody when onepass imports it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.zoo import BY_NAME

_STATEMENTS = {
    "load": "import onepass; onepass.load('m.onnx').close()",
    "clean": "from onepass import OnnxGraph; OnnxGraph.load('m.onnx').clean()",
    "doctor": "from onepass.cli import main; main(['doctor'])",
}


def _run(statement: str, folder: Path, *before: str, **variables: str) -> None:
    """Run a statement in a fresh Python whose home is an empty folder."""
    home = folder / "home"
    home.mkdir()
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "LOCALAPPDATA": str(home / "local")}
    rest = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = f"import time\ntry:\n  {statement}\nexcept SystemExit: pass\ntime.sleep(0.5)"
    command = [*before, sys.executable, "-B", "-c", code]
    subprocess.run(command, env={**rest, **places, **variables}, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model in it."""
    BY_NAME["three heads"].graph.save(tmp_path / "m.onnx")
    return tmp_path


@pytest.mark.parametrize("statement", _STATEMENTS)
def test_nothing_is_left(statement: str, folder: Path) -> None:
    """Neither running a model, nor cleaning one, nor the doctor leaves a file with the user."""
    _run(_STATEMENTS[statement], folder)
    assert list((folder / "home").rglob("*")) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace tells what a process asks of the network")
def test_nobody_is_asked(folder: Path) -> None:
    """No name is looked up and nothing is sent: the process opens no socket to the outside."""
    _run(_STATEMENTS["load"], folder, "strace", "-f", "-e", "trace=connect,sendto", "-o", "calls.txt")
    calls = (folder / "calls.txt").read_text()
    assert "exited with 0" in calls
    assert "AF_INET" not in calls


def test_the_user_decides(folder: Path) -> None:
    """What the user has set stays."""
    _run("import os, onepass.runtime.onnxruntime.backend; assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'", folder,
         ORT_DISABLE_TELEMETRY="0")  # fmt: skip
