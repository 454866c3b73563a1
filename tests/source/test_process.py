"""A framework in a process of its own: what comes back, and what happens when it does not."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import onepass
from onepass import ConversionError, InputError, MissingExtraError
from onepass.formats import Format
from onepass.source import framework
from onepass.source.framework import Framework
from onepass.source.process import _environment
from tests.source.networks import two_heads

_ODD = Framework("Odd", "tests.source.odd", extra="odd")


@pytest.fixture(autouse=True)
def _odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "FRAMEWORKS", {Format.ONNX: _ODD})


def test_the_export_comes_back(tmp_path: Path) -> None:
    """Model, signature and reference outputs cross from the framework's process to this one."""
    result = onepass.convert(two_heads(tmp_path / "works.onnx"), tmp_path / "out.onnx")
    assert result.framework == "Pretence 1.0"
    assert result.signature.output_names == ("wide", "narrow")
    assert len(result.errors) == 2


@pytest.mark.parametrize(
    ("behaviour", "kind", "message"),
    [
        ("crashes", ConversionError, r"Odd ended by SIGSEGV while converting .*crashes\.onnx"),
        ("exits", ConversionError, r"(?s)Odd ended by status 3 while converting .*no licence found"),
        (
            "raises",
            ConversionError,
            r"(?s)Odd failed to convert .*RuntimeError: the weights are of another layer.*in open_",
        ),
        ("refuses", InputError, r"^there is no such signature$"),
        ("lacks", MissingExtraError, r"Odd is installed, but does not import \(libodd\.so\.1.*'\.\[odd\]'"),
    ],
)
def test_failures_of_the_framework(behaviour: str, kind: type[Exception], message: str, tmp_path: Path) -> None:
    """What happened in the other process is told here, with what it printed, and nothing is written."""
    with pytest.raises(kind, match=message):
        onepass.convert(two_heads(tmp_path / f"{behaviour}.onnx"), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="looks for a process by its id as POSIX has it")
def test_time_is_up(tmp_path: Path) -> None:
    """A framework that takes too long is stopped, with the processes that it started."""
    with pytest.raises(ConversionError, match=r"did not finish within 5 s and was stopped; increase timeout_s="):
        onepass.convert(two_heads(tmp_path / "sleeps.onnx"), tmp_path / "out.onnx", timeout_s=5)
    assert _has_ended(int((tmp_path / "child.pid").read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="looks for a process by its id as POSIX has it")
def test_who_waits_is_ended(tmp_path: Path) -> None:
    """Where the caller's process is ended from outside, the framework's ends with it, and its folder goes."""
    source, scratch = two_heads(tmp_path / "sleeps.onnx"), tmp_path / "scratch"
    scratch.mkdir()
    script = (
        "import sys, onepass; from onepass.formats import Format; from onepass.source import framework\n"
        "framework.FRAMEWORKS = {Format.ONNX: framework.Framework('Odd', 'tests.source.odd', extra='odd')}\n"
        "onepass.convert(sys.argv[1], sys.argv[2])"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    caller = subprocess.Popen(
        [sys.executable, "-c", script, str(source), str(tmp_path / "out.onnx")],
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": path},
    )
    pid = tmp_path / "child.pid"
    while not (pid.exists() and pid.read_text()) and caller.poll() is None:
        time.sleep(0.1)
    caller.terminate()
    caller.wait()
    assert _has_ended(int(pid.read_text()))
    assert not list(scratch.glob("onepass-*"))


def _has_ended(pid: int) -> bool:
    for _ in range(100):  # the system may take a moment to bury it
        if not _runs(pid):
            return True
        time.sleep(0.1)
    return False


def _runs(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def test_other_modules_in_the_folder_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named like a library, in the folder one happens to be in, is not imported in its place."""
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the current folder')")
    monkeypatch.chdir(tmp_path)
    onepass.convert(two_heads(tmp_path / "works.onnx"), tmp_path / "out.onnx")


# ---- an environment of its own ----------------------------------------------------------------------------------


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Framework:
    """A framework that is not installed, and a cache of this test's own."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    missing = Framework("Absent", "tests.source.odd", extra="absent", imports=("no_such_module",))
    monkeypatch.setattr(framework, "FRAMEWORKS", {Format.ONNX: missing})
    return missing


def _wheel(folder: Path) -> Path:
    """Write an installable package with nothing in it."""
    wheel, facts = folder / "odd-1.0-py3-none-any.whl", "odd-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
        archive.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{facts}/RECORD", "")
    return wheel


def test_an_environment_is_made_once(absent: Framework, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the framework is not installed, an environment with it is made, used, and used again.

    What a process that was stopped halfway has left is not taken for one.
    """
    monkeypatch.setitem(_environment._PINS, "absent", (str(_wheel(tmp_path)),))
    half_made = _half_made(absent, monkeypatch)
    python = _environment.environment_python(absent)
    assert python.exists()
    assert not half_made.exists()
    where = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).is_relative_to(tmp_path / "cache" / "environments")
    (python.parent / "mine").touch()
    assert _environment.environment_python(absent) == python
    assert (python.parent / "mine").exists()
    _lend_our_packages(python)
    result = onepass.convert(two_heads(tmp_path / "works.onnx"), tmp_path / "out.onnx")
    assert result.framework == "Pretence 1.0"


def _half_made(absent: Framework, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Begin an environment, be stopped, and return a file of what is left."""
    left = []

    def stopped(step: list[str], **_options: object) -> None:
        place = Path(step[-1])
        place.mkdir()
        left.append(place / "half")
        left[0].touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            _environment.environment_python(absent)
    return left[0]


def _lend_our_packages(python: Path) -> None:
    """Let the environment see what is installed here, as if it had been installed there."""
    site = next(python.parent.parent.glob("lib*/**/site-packages"))
    places = [place for place in sys.path if place.endswith("site-packages")]
    (site / "lent.pth").write_text("\n".join([*places, str(Path(__file__).parent.parent.parent)]))


def test_no_network(absent: Framework, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the packages cannot be had, the message says what is missing and how to install it oneself."""
    monkeypatch.setitem(_environment._PINS, "absent", ("onepass-no-such-package==1.0",))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(MissingExtraError, match=r"requires Absent, .* failed .*'\.\[absent\]'"):
        onepass.convert(two_heads(tmp_path / "works.onnx"), tmp_path / "out.onnx")
    assert not [place for place in (tmp_path / "cache" / "environments").iterdir() if place.is_dir()]


def test_a_network_in_memory_needs_its_framework_here(
    absent: Framework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory cannot go to another environment, so the message says what to install."""
    monkeypatch.setattr(framework, "_IN_MEMORY", {"tests": absent})
    network = type("Network", (), {"__module__": "tests.source"})()
    with pytest.raises(MissingExtraError, match=r"Converting Absent networks .* pip install '\.\[absent\]'"):
        onepass.convert(network, tmp_path / "out.onnx")
