"""Unpack untrusted zip archives without writing outside the target folder."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from errno import EACCES, EDQUOT, EIO, ENOSPC, EPERM, EROFS
from pathlib import Path, PurePosixPath, PureWindowsPath

from onepass._errors import ModelFormatError

_MAX_BYTES = 2 << 30
# Errors of the file system, not of the archive.
_OF_THE_DISK = frozenset({ENOSPC, EDQUOT, EROFS, EACCES, EPERM, EIO})


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder`, completely or not at all. An existing folder is replaced.

    Raises:
        ModelFormatError: The archive is damaged or encrypted, would unpack to more than 2 GiB, or contains a link or a
            path outside the folder.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        place = Path(scratch, "unpacked")
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                if sum(member.file_size for member in members) > _MAX_BYTES:
                    raise ModelFormatError(
                        f"{archive} would unpack to more than {_MAX_BYTES} bytes; it was not unpacked"
                    )
                for member in members:
                    _check(archive, member)
                for member in members:
                    opened.extract(member, place)  # zipfile stops at a member's declared size
        except OSError as error:
            if error.errno in _OF_THE_DISK:
                raise
            raise ModelFormatError(f"cannot unpack {archive}: {error.strerror or error}") from error
        except (
            zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError
        ) as error:  # fmt: skip
            raise ModelFormatError(f"{archive} is damaged or not a readable zip archive: {error}") from error
        place.mkdir(exist_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        place.replace(folder)


def _check(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    path, kind = PurePosixPath(name.replace("\\", "/")), stat.S_IFMT(member.external_attr >> 16)
    absolute = path.is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root
    if absolute or ".." in path.parts or "\0" in name:
        raise ModelFormatError(f"{archive}: member {name!r} is outside the folder; nothing was unpacked")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ModelFormatError(f"{archive}: member {name!r} is a link or a device; nothing was unpacked")
