"""One hostile file at a time, in a forked child with limits of time and memory: what it broke, if anything."""

from __future__ import annotations

import faulthandler
import io
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from onepass import OnepassError
from onepass.cli import main

SECONDS = 30.0
"""How long all calls on one file may take together."""
RESIDENT_BYTES = 1500 << 20
"""How much memory a child may have at most; files are small, and limits on what they claim are part of onepass."""
_DATA_BYTES = 6 << 30  # what the kernel refuses to go beyond, so that the machine stays usable

Call = Sequence[object] | Callable[[], object]
"""Words of a command, or a function of the library."""

# What is printed for people holds no control character but the line's end; frames, rulers and … are no such.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# libjpeg, libpng and libtiff, as OpenCV has them, write past everything; to silence them would take standard error
# from the whole process and all its threads.
_FOREIGN = re.compile(
    r"^(Corrupt JPEG data|Premature end of JPEG|Invalid (SOS|JPEG)|Unsupported (JPEG|marker)|Inconsistent progression|"
    r"Unknown Adobe color|libpng (error|warning)|JPEG |TIFF\w+: |\w+ByteCounts: ).*$", re.MULTILINE
)  # fmt: skip


@dataclass(frozen=True)
class Break:
    """What one file broke.

    Attributes:
        call: The words of the command, or the function's name.
        what: The kind of the break (``crash``, ``hang``, ``memory``, ``fault`` …), and what was said.
    """

    call: str
    what: str


def tried(files: Mapping[str, bytes], calls: Callable[[Path], Sequence[Call]]) -> Break | None:
    """Write files into an empty folder and make calls on them, in a child; return the first break."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return _in_child(folder, calls)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_child(folder: Path, calls: Callable[[Path], Sequence[Call]]) -> Break | None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(folder, calls, writer)
    os.close(writer)
    said, hangs = _read_until(reader, time.monotonic() + SECONDS)
    os.close(reader)
    if hangs:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    lines = said.decode(errors="replace").split("\0")
    call = next((line[5:] for line in reversed(lines) if line.startswith("call ")), "?")
    if hangs:
        return Break(call, f"hang: not done after {SECONDS:g} s")
    found = next((line[6:] for line in lines if line.startswith("break ")), None)
    if found is not None:
        return Break(call, found)
    if os.WIFSIGNALED(status):
        return Break(call, f"crash: {signal.Signals(os.WTERMSIG(status)).name}")
    if usage.ru_maxrss * 1024 > RESIDENT_BYTES:
        return Break(call, f"memory: {usage.ru_maxrss >> 10} MB")
    return None


def _read_until(reader: int, deadline: float) -> tuple[bytes, bool]:
    """Read what a child says until it ends, or its time is up; say which."""
    said = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return said, True
        piece = os.read(reader, 1 << 16)
        if not piece:
            return said, False
        said += piece


def _child(folder: Path, calls: Callable[[Path], Sequence[Call]], writer: int) -> None:
    """Make the calls and end the process; never returns."""
    faulthandler.disable()  # pytest's would write to the terminal
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    null, printed = os.open(os.devnull, os.O_RDWR), os.open("printed by libraries", os.O_RDWR | os.O_CREAT)
    os.dup2(null, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    found = None
    try:
        for call in calls(folder):
            name = call.__name__ if callable(call) else " ".join(map(str, call))
            os.write(writer, f"call {name}\0".encode(errors="replace"))
            found = _library(call) if callable(call) else _command(call)
            foreign = _FOREIGN.sub("", os.pread(printed, 1 << 16, 0).decode(errors="replace")).strip()
            if not found and foreign:
                found = f"foreign: {foreign[:400]}"
            if found:
                os.write(writer, f"break {found}\0".encode(errors="replace"))
                break
    except BaseException:  # noqa: BLE001 - a fault of the fuzzer's own is told, too
        os.write(writer, f"break fuzzer: {traceback.format_exc()}\0".encode(errors="replace"))
    os._exit(0)


def _library(call: Callable[[], object]) -> str:
    try:
        call()
    except (OnepassError, MemoryError):
        return ""
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"raises {type(error).__name__}: {str(error)[:300]} ({where.filename}:{where.lineno})"
    return ""


def _command(words: Sequence[object]) -> str:
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    sys.argv = ["onepass"]
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as ending:
            status = ending.code
    printed = err.getvalue() + ("" if "--json" in words else out.getvalue())
    if "bug in onepass" in printed:
        return f"fault: {printed[-600:]}"
    if "Traceback (most recent" in printed:
        return f"traceback: {printed[-600:]}"
    if status not in (0, 1, 2, None):
        return f"status {status}: {printed[-300:]}"
    control = _CONTROL.search(printed)
    if control:
        return f"control: {control[0]!r} in {printed[max(0, control.start() - 80) : control.end() + 80]!r}"
    return ""
