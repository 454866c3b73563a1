"""Kills between every two file operations of a piece of work, found by tracing it, not by chance.

A piece of work runs once in a process that notes each operation which changes files: what Python announces to audit
hooks (open, rename, remove, link, mkdir …), and writes and truncations, which it does not. What is renamed must be on
the disk, by fsync, since it was written. Then it runs again as often as there were operations, from the same beginning,
and the process ends before the first of them, before the second, and so on; a write that is next is left half done.
Whatever a user reads after each of these is either what was there before or what comes of the whole work.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_AUDITED = frozenset(
    {"open", "os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"}
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_KILLED = 9


@dataclass(frozen=True)
class Work:
    """A piece of work on files.

    Attributes:
        prepare: Puts into a folder what is there before.
        work: Does it, in that folder.
        look: What a user then reads in the folder; equal for equal contents. It may raise nothing.
    """

    prepare: Callable[[Path], Any]
    work: Callable[[Path], Any]
    look: Callable[[Path], Any]


class _Tracer:
    """Notes operations on files below a folder; ends the process before that of a certain number.

    Attributes:
        seen: What changes files, in order: what is done, and the path.
        synced: How many of these were done when a path was last put on the disk.
    """

    def __init__(self, folder: Path, end_before: int | None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.synced: dict[str, int] = {}
        self._folder = str(folder)
        self._end_before = end_before

    def start(self) -> None:
        """Begin, for as long as the process lives."""
        sys.addaudithook(self._hear)
        open_ = io.open
        for module, name, function in (
            (os, "fsync", self._fsync),
            (io, "open", partial(self._opened, open_)),
            (builtins, "open", partial(self._opened, open_)),
        ):
            setattr(module, name, function)

    def next(self, what: str, path: str) -> bool:
        """Note an operation that is about to be done; returns whether the process is to end before it."""
        self.seen.append((what, path))
        return len(self.seen) - 1 == self._end_before

    def _hear(self, event: str, words: tuple[Any, ...]) -> None:
        ours = [os.fsdecode(word) for word in words if self._is_ours(word)]
        if not ours or event not in _AUDITED or (event == "open" and not words[2] & _WRITES):
            return
        if event == "os.rename" and Path(ours[0]).is_file():
            written = [number for number, (_, path) in enumerate(self.seen) if path == ours[0]]
            assert self.synced.get(ours[0], -1) > max(written, default=0), f"{ours[0]} is renamed, and not on the disk"
            self.synced[ours[1]] = len(self.seen) + 1
        if self.next(event, ours[0]):
            os._exit(_KILLED)

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(self._folder)

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.synced[str(path)] = len(self.seen)

    def _opened(self, open_: Callable[..., Any], file: Any, mode: str = "r", *words: Any, **options: Any) -> Any:
        if not self._is_ours(file) or not set(mode) & set("wax+"):
            return open_(file, mode, *words, **options)
        raw = _Written(self, file, mode.replace("b", "").replace("t", ""))
        buffering = words[0] if words else options.pop("buffering", -1)
        if "b" in mode and buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *words[1:], **options)


class _Written(io.FileIO):
    """A file whose writes are operations, of which the last may be half done."""

    def __init__(self, tracer: _Tracer, file: Any, mode: str) -> None:
        super().__init__(file, mode)
        self._tracer = tracer

    def write(self, data: Any) -> int:
        if self._tracer.next("write", os.fspath(self.name)):
            half = memoryview(data).cast("B")
            super().write(half[: len(half) // 2])
            os._exit(_KILLED)
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        if self._tracer.next("truncate", os.fspath(self.name)):
            os._exit(_KILLED)
        return super().truncate(size)


def kill_everywhere(case: Work, scratch: Path) -> int:
    """Do a piece of work with a kill before each of its operations, in children of this process.

    Returns:
        How many operations there were.

    Raises:
        AssertionError: Something else is there afterwards than the old or the new, or what was not done cannot be done
            then.
    """
    beginning = scratch / "beginning"
    beginning.mkdir()
    case.prepare(beginning)
    place = scratch / "place"  # one place for all, since files may hold their own paths
    operations = _traced(case, beginning, place, scratch / "note")
    old, new = _seen(case, beginning, place, lambda: None), _seen(case, beginning, place, lambda: _child(case, place))
    assert old != new, "the work changes nothing that can be seen"
    for number, (what, path) in enumerate(operations):
        when = f"a kill before operation {number}, {what} {path}"
        after = _seen(case, beginning, place, partial(_child, case, place, number))
        assert after in (old, new), f"after {when}, there is neither the old nor the new: {after}"
        if after == old:
            assert _child(case, place) == 0, f"after {when}, a second try fails"
            assert case.look(place) == new, f"after {when}, and a second try, there is not the new"
    return len(operations)


def _seen(case: Work, beginning: Path, place: Path, do: Callable[[], Any]) -> Any:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(beginning, place, symlinks=True)
    do()
    return case.look(place)


def _traced(case: Work, beginning: Path, place: Path, note: Path) -> list[tuple[str, str]]:
    """Return the operations of the work; import here what it imports, so that the children need not."""
    _seen(case, beginning, place, lambda: _child(case, place, note=note))
    found = json.loads(note.read_text())
    for module in found["modules"]:
        with suppress(ImportError):
            importlib.import_module(module)
    return [(what, path) for what, path in found["seen"]]


def _child(case: Work, place: Path, end_before: int | None = None, *, note: Path | None = None) -> int:
    """Work in a child of this process; return its status."""
    before = set(sys.modules)
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, _KILLED), f"the work failed by itself: status {status}"
        return status
    try:
        tracer = _Tracer(place, end_before)
        if end_before is not None or note is not None:
            tracer.start()
        case.work(place)
        if note is not None:
            note.write_text(json.dumps({"seen": tracer.seen, "modules": sorted(set(sys.modules) - before)}))
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
        traceback.print_exc()
        os._exit(1)
