"""Atomic file replacement: write to a temporary file beside the target, then rename it."""

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

# Paths of this process's open file descriptors.
_DESCRIPTOR = re.compile(r"/dev/(?:std(?P<std>out|err)|fd/(?P<fd>\d+))|/proc/self/fd/(?P<own>\d+)")
# File names may have 255 bytes, and a character up to four; random digits and the suffix follow the stem.
_MAX_STEM = 40
# Errors of write() itself, for which the system names no file.
_ON_WRITE = frozenset({ENOSPC, EDQUOT, EFBIG, EINVAL, EIO, EPIPE})


class Draft:
    """A file written under a temporary name, which replaces its target when it is complete.

    Symbolic links are followed: the file that they point to is replaced, and keeps its owner and permissions. A target
    that is not a regular file (a device, a pipe, ``/dev/stdout``) is never replaced: the draft is written into it.

    Attributes:
        path: Where to write; initially an empty file. It has the target's suffix, because writers choose the format by
            suffix.
        streams: Whether the target is a device, pipe or descriptor, so that no other file can be put beside it.

    Raises:
        OSError: The target cannot be written: it is a folder or read-only, or its folder is missing.
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
            # No user may read the draft who could not read the former file; a new file follows the umask.
            mode = 0o666 if former is None else 0o600
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            if former is not None:
                self._take_after(former)
        except OSError as error:
            self.discard()
            raise self.told(error) from error

    def _take_after(self, former: os.stat_result) -> None:
        if hasattr(os, "chown"):
            with suppress(OSError):  # another user owns it, and we may not give files away
                os.chown(self.path, former.st_uid, former.st_gid)
        self.path.chmod(former.st_mode & 0o777)

    def put(self, name: str | None = None) -> None:
        """Put the file in place and sync it to disk, so that it survives a power failure.

        Args:
            name: Name in the target's folder, if it was not known before the file was written.

        Raises:
            OSError: The target cannot be replaced; it is unchanged.
        """
        if self.streams:
            with self.path.open("rb") as written, BufferedWriter(open_stream(self._target)) as out:
                shutil.copyfileobj(written, out)
            return
        sync(self.path)
        self.path.replace(self._place if name is None else self._place.with_name(name))
        sync_folder(self._place.parent)

    def discard(self) -> None:
        """Remove the temporary file, unless it has been put in place."""
        if self.streams:
            shutil.rmtree(self.path.parent, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def told(self, error: OSError) -> OSError:
        """Return a system error with the target's name, which the caller knows, instead of the temporary name."""
        named = error.filename == str(self.path) or (error.filename is None and error.errno in _ON_WRITE)
        if error.errno is None or not (named or str(self.path) in str(error.strerror)):
            return error
        reason = str(error.strerror).replace(str(self.path), str(self._target))
        return OSError(error.errno, reason, str(self._target))


def check_target(target: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the status of an existing target, or None if it does not exist; call it before long work.

    Raises:
        OSError: The target cannot be written: it is a folder or read-only, or its folder is missing.
    """
    path = Path(target)
    try:
        former = path.stat()
    except FileNotFoundError:
        if Path(os.path.realpath(path)).parent.is_dir():
            return None
        raise
    if stat.S_ISDIR(former.st_mode):
        raise OSError(EISDIR, "it is a folder, expected a file", str(path))
    # Root may write anything, but a file without write permission is meant to stay.
    if not former.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise OSError(EACCES, "it is read-only; make it writable or choose another path", str(path))
    return former


def is_stream(target: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a device, a pipe or an open descriptor, which is written into and never replaced."""
    return _descriptor(target) is not None or is_special(target)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a device, a pipe or a socket: something other than a file or a folder."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(target: str | os.PathLike[str]) -> FileIO:
    """Open a stream (see `is_stream`) unbuffered; a descriptor keeps its position."""
    descriptor = _descriptor(target)
    if descriptor is not None:
        return FileIO(os.dup(descriptor), "w")
    # No O_CREAT: if the pipe has just been removed, no file must take its place.
    return FileIO(os.open(target, os.O_WRONLY | getattr(os, "O_BINARY", 0)), "w")


def _descriptor(target: str | os.PathLike[str]) -> int | None:
    """Return the descriptor number of paths such as ``/dev/stdout`` and ``/dev/fd/3``, or None."""
    found = _DESCRIPTOR.fullmatch(os.path.normpath(target))
    if found is None:
        return None
    return {"out": 1, "err": 2}[found["std"]] if found["std"] else int(found["fd"] or found["own"])


def sync(path: Path) -> None:
    """Flush a file to disk, so that later changes cannot reach the disk before it."""
    _sync(path, os.O_WRONLY)


def sync_folder(path: Path) -> None:
    """Flush a folder's names to disk, if the system supports it."""
    if sys.platform != "win32":
        with suppress(OSError):  # for example, a folder that is writable but not readable
            _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != EINVAL:  # raised by file systems without a disk
            raise
    finally:
        os.close(descriptor)
