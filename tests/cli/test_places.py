"""Where commands write: into devices and pipes, through links, over nothing that is read-only."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from onepass import OnnxGraph
from onepass.engine import read_sidecar
from tests.cli.shell import Shell
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.source.networks import two_heads

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links and pipes of POSIX")

# Each command, and what it is told to write; @ is the place.
_COMMANDS = {
    "convert": ("convert", "in.onnx", "-o", "@"),
    "build": ("build", "in.onnx", "-o", "@", "--batch", "1"),
    "run": ("run", "in.onnx", "--random", "-o", "@"),
    "compare": ("compare", "in.onnx", "in.onnx", "--html", "@"),
}
_ENDINGS = {"convert": ".onnx", "build": ".engine", "run": ".json", "compare": ".html"}
_commands = pytest.mark.parametrize("command", _COMMANDS)


@pytest.fixture(autouse=True)
def _a_folder_with_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with one model, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    two_heads(tmp_path / "in.onnx")


def _words(command: str, place: str) -> list[str]:
    return [word if word != "@" else place for word in _COMMANDS[command]]


def _do(shell: Shell, command: str, place: str) -> None:
    with installed(make_tensorrt("11.4.0")):
        shell(*_words(command, place))


def _files() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"in.onnx", "cache"}


@_commands
@pytest.mark.parametrize("ending", ["", "of the command"])
def test_into_a_pipe(shell: Shell, command: str, ending: str) -> None:
    """A named pipe gets the whole file, whatever it is called, and nothing is left beside it."""
    name = f"pipe{_ENDINGS[command] if ending else ''}"
    os.mkfifo(name)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path(name).read_bytes()), daemon=True)
    reader.start()
    _do(shell, command, name)
    reader.join(30)
    assert len(read[0]) > 100
    if command == "convert":
        assert OnnxGraph.from_bytes(read[0]).signature.output_names == ("wide", "narrow")
    if command == "run":
        assert list(json.loads(read[0])) == ["wide", "narrow"]
    assert _files() == {name}
    assert Path(name).is_fifo()


@_commands
def test_into_a_device(shell: Shell, command: str) -> None:
    """A device that swallows everything is one afterwards: a file of our own, like the machine's own."""
    try:
        os.mknod("swallows", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        Path("swallows").open("wb").close()
    except PermissionError:
        pytest.skip("only root may make devices, and only where the file system has them")
    _do(shell, command, "swallows")
    assert Path("swallows").is_char_device()
    assert _files() == {"swallows"}


@_commands
def test_a_read_only_file(shell: Shell, command: str) -> None:
    """What is read-only is kept, and that is said with its name before anything is computed."""
    name = f"mine{_ENDINGS[command]}"
    Path(name).write_text("mine")
    Path(name).chmod(0o400)
    with installed(make_tensorrt("11.4.0")):
        said = shell.fails(*_words(command, name))
    assert "it is read-only; make it writable or choose another path" in said
    assert name in said
    Path(name).chmod(0o600)
    assert Path(name).read_text() == "mine"
    assert _files() == {name}


@_commands
def test_through_a_link(shell: Shell, command: str) -> None:
    """A link stays one; the file that it leads to is new, and as private as before."""
    name = f"link{_ENDINGS[command]}"
    Path("store").mkdir()
    real = Path("store", f"real{_ENDINGS[command]}")
    real.touch()
    real.chmod(0o600)
    Path(name).symlink_to(real)
    _do(shell, command, name)
    assert Path(name).is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert real.stat().st_size > 100
    if command == "build":
        assert read_sidecar(name) is not None


def test_onto_standard_output(tmp_path: Path) -> None:
    """``-o /dev/stdout`` goes into the pipeline, behind what is there already, and the command's words after it."""
    (tmp_path / "log").write_text("before\n")
    with (tmp_path / "log").open("a") as log:
        words = [sys.executable, "-m", "onepass", "run", "in.onnx", "--random", "-o", "/dev/stdout"]
        subprocess.run(words, cwd=tmp_path, stdout=log, check=True, timeout=60)
    text = (tmp_path / "log").read_text()
    assert text.startswith('before\n{"wide": ')
    assert "written to /dev/stdout" in text


_ON_A_SMALL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from onepass.cli import main
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from onepass.drafts import Draft
begin = Draft.__init__
def full_from_now_on(draft, target):
    begin(draft, target)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
Draft.__init__ = full_from_now_on
with installed(make_tensorrt("11.4.0")):
    main(sys.argv[1:])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
@_commands
def test_a_full_disk_is_told_with_the_files_own_name(tmp_path: Path, command: str) -> None:
    """An error of the disk names the file as it was given, in one sentence, and what stood there stays."""
    name = f"out{_ENDINGS[command]}"
    Path(name).write_text("before")
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-B", "-c", _ON_A_SMALL_DISK, *_words(command, name)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"onepass: {name}: File too large" in done.stderr
    assert f".{Path(name).stem}." not in done.stderr
    assert "bug" not in done.stderr
    assert Path(name).read_text() == "before"
    assert _files() == {name}


def test_outputs_over_a_file_that_somebody_reads(shell: Shell) -> None:
    """Who has the former file open reads it to its end, whatever is written in its place."""
    shell("run", "in.onnx", "--random", "-o", "out.npz")
    with Path("out.npz").open("rb") as former:
        before = Path("out.npz").read_bytes()
        shell("run", "in.onnx", "--random", "--seed", "1", "-o", "out.npz")
        assert former.read() == before
    with np.load("out.npz") as saved:
        assert list(saved) == ["wide", "narrow"]
