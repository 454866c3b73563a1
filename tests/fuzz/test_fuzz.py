"""Hostile files break nothing: those that once did, and new ones; and the fuzzer sees what is broken."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from onepass import InputError
from tests.fuzz.harness import tried

_ROOT = Path(__file__).parents[2]


def _fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    """Fuzz in a process of its own, which has no threads when it forks."""
    command = [sys.executable, "-m", "tests.fuzz", *words]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)


def test_corpus() -> None:
    """No file that once ended a process, or in a traceback, does so again."""
    done = _fuzz("--corpus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "onnx 23" in done.stdout


def test_new_files() -> None:
    """A few files of every kind, by seeds; `make fuzz` makes more."""
    done = _fuzz("--seeds", "7:9")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 2,") + done.stdout.count(" 2)") == 12


def crash() -> None:
    """Read what is nobody's."""
    ctypes.string_at(1)


def hang() -> None:
    """Take too long."""
    time.sleep(60)


def take_memory() -> None:
    """Take more than the files that are tried ought to."""
    bytearray(120 << 20)


def raise_another_error() -> None:
    """Raise what is none of onepass's errors."""
    {"a": 1}["key"]


def write_a_line() -> None:
    """Write as a library does, past Python."""
    import os

    os.write(2, b"libfoo: hello\n")


def raise_our_error() -> None:
    """Do what is right."""
    raise InputError("it is damaged")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize(("call", "expected"), [
    (crash, "crash: SIGSEGV"), (hang, "hang: not done"), (take_memory, "memory: "), (write_a_line, "foreign: libfoo"),
    (raise_another_error, "raises KeyError"), (raise_our_error, None), (["--version"], None),
    (["inspect", "m.onnx"], None),
])  # fmt: skip
def test_the_fuzzer_can_fail(call: Callable[[], None], expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of break is seen, and an error that is meant is none."""
    monkeypatch.setattr("tests.fuzz.harness.SECONDS", 2.0)
    monkeypatch.setattr("tests.fuzz.harness.RESIDENT_BYTES", 1 << 20 if call is take_memory else 1 << 40)
    found = tried({"m.onnx": b"nothing"}, lambda folder: [call])
    assert (found is None) if expected is None else found is not None and found.what.startswith(expected)
