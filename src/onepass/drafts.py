"""A file on its way to its place: written beside it, and there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from errno import EACCES, EDQUOT, EFBIG, EINVAL, EIO, EISDIR, ENOSPC, EPIPE
from io import BufferedWriter, FileIO
from pathlib import Path

# Descriptors that are open in this process.
_DESCRIPTOR = re.compile(r"/dev/(?:std(?P<std>out|err)|fd/(?P<fd>\d+))|/proc/self/fd/(?P<own>\d+)")
# A name may have 255 bytes, and a character four; digits and an ending come behind.
_MAX_STEM = 40
# What writing itself may end with; the system names no file then.
_ON_WRITE = frozenset({ENOSPC, EDQUOT, EFBIG, EINVAL, EIO, EPIPE})


class Draft:
    """A file on its way: written under a temporary name, and put in place of its target when it is whole.

    Links are followed: the file that they lead to is replaced, and stays a file of its owner with its permissions. What
    is no file (a device, a pipe, ``/dev/stdout``) is never replaced: the draft is written into it.

    Attributes:
        path: Where to write; an empty file, for now. It has the target's suffix, since writers choose their format by
            it.
        streams: Whether the target is no file, so that nothing can lie beside it.

    Raises:
        OSError: Nothing can be written there: it is a folder or read-only, or its folder is missing.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = Path(target)
        self.streams = is_stream(target)
        if self.streams:
            self.path = Path(tempfile.mkdtemp(prefix="onepass-"), self._target.name)
            return
        former = check_target(target)
        self._place = Path(os.path.realpath(target))
        stem, suffix = self._place.stem[:_MAX_STEM], self._place.suffix
        self.path = self._place.with_name(f".{stem}.{os.urandom(6).hex()}{suffix}")
        try:
            # Nobody may read it who could not read the file before; a new file has what the umask leaves.
            mode = 0o666 if former is None else 0o600
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            if former is not None:
                self._take_after(former)
        except OSError as error:
            self.discard()
            raise self.told(error) from error

    def _take_after(self, former: os.stat_result) -> None:
        if hasattr(os, "chown"):
            with suppress(OSError):  # it is another's, and we may not give it to them
                os.chown(self.path, former.st_uid, former.st_gid)
        self.path.chmod(former.st_mode & 0o777)

    def put(self, name: str | None = None) -> None:
        """Put the file in place; it is on the disk then, whatever happens to the machine.

        Args:
            name: What it is called in the target's folder, where that was not known before it was written.

        Raises:
            OSError: That cannot be done; the target is as it was.
        """
        if self.streams:
            with self.path.open("rb") as written, BufferedWriter(open_stream(self._target)) as out:
                shutil.copyfileobj(written, out)
            return
        sync(self.path)
        self.path.replace(self._place if name is None else self._place.with_name(name))
        sync_folder(self._place.parent)

    def discard(self) -> None:
        """Remove what was written, unless it has been put in place."""
        if self.streams:
            shutil.rmtree(self.path.parent, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def told(self, error: OSError) -> OSError:
        """Return an error of the system as one about the target: its name is the one that the caller knows."""
        named = error.filename == str(self.path) or (error.filename is None and error.errno in _ON_WRITE)
        if error.errno is None or not (named or str(self.path) in str(error.strerror)):
            return error
        reason = str(error.strerror).replace(str(self.path), str(self._target))
        return OSError(error.errno, reason, str(self._target))


def check_target(target: str | os.PathLike[str]) -> os.stat_result | None:
    """Return what is known of the file that stands at a path, None if there is none; worth asking before long work.

    Raises:
        OSError: It cannot be written: it is a folder or read-only, or its folder is missing.
    """
    path = Path(target)
    try:
        former = path.stat()
    except FileNotFoundError:
        if Path(os.path.realpath(path)).parent.is_dir():
            return None
        raise
    if stat.S_ISDIR(former.st_mode):
        raise OSError(EISDIR, "it is a folder, expected a file to write", str(path))
    # Root may write anything; a file that nobody may write is meant to stay all the same.
    if not former.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise OSError(EACCES, "it is read-only; permit writing, or write elsewhere", str(path))
    return former


def is_stream(target: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a device, a pipe or an open descriptor: to be written into, and never replaced."""
    return _descriptor(target) is not None or is_special(target)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether there is something at a path that is neither a file nor a folder: a device, a pipe, a socket."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(target: str | os.PathLike[str]) -> FileIO:
    """Open what `is_stream` says is one, unbuffered; a descriptor goes on where it is."""
    descriptor = _descriptor(target)
    if descriptor is not None:
        return FileIO(os.dup(descriptor), "w")
    # Never made: what was a pipe a moment ago does not become a file.
    return FileIO(os.open(target, os.O_WRONLY | getattr(os, "O_BINARY", 0)), "w")


def _descriptor(target: str | os.PathLike[str]) -> int | None:
    """Return the number that paths such as ``/dev/stdout`` and ``/dev/fd/3`` stand for."""
    found = _DESCRIPTOR.fullmatch(os.path.normpath(target))
    if found is None:
        return None
    return {"out": 1, "err": 2}[found["std"]] if found["std"] else int(found["fd"] or found["own"])


def sync(path: Path) -> None:
    """Wait until a file is on the disk, so that what is done next comes after it."""
    _sync(path, os.O_WRONLY)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say."""
    if sys.platform != "win32":
        with suppress(OSError):  # a folder that may be written to and not be read, for one
            _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != EINVAL:  # which file systems say that have no disk
            raise
    finally:
        os.close(descriptor)
