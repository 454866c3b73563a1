"""Files that onepass writes: put in place whole or not at all, and known by their content."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onepass._errors import InputError

_CHUNK_BYTES = 1 << 20


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `target`, which takes its place when the block ends well.

    Until then whatever stood at `target` stays as it was; if the block raises (or is interrupted), the temporary
    file is removed. The temporary name keeps the suffix, since writers choose their format by it.

    Example::

        with replacing("model.onnx") as temporary:
            temporary.write_bytes(data)
    """
    path = Path(target)
    temporary = temporary_beside(path)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):  # the name that the caller knows
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(target: str | os.PathLike[str]) -> Path:
    """Return a free name in the target's folder, with the target's suffix: what is written there can be renamed."""
    path = Path(target)
    return path.with_name(f".{path.stem}.{os.urandom(6).hex()}{path.suffix}")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits, reading it in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def user_cache(kind: str) -> Path:
    """Return where onepass keeps what it can make again: ``$ONEPASS_CACHE``, or its place in the user's caches.

    Args:
        kind: Name of the folder in it: ``engines``, ``environments``. It may not be there yet.
    """
    if os.environ.get("ONEPASS_CACHE"):
        return Path(os.environ["ONEPASS_CACHE"], kind)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return base.expanduser() / "onepass" / kind


def path_tuple(paths: Any, *, what: str) -> tuple[str, ...]:
    """Return one path, or several, as a tuple of texts.

    Raises:
        InputError: It is something else; the message calls it `what`.
    """
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    if not isinstance(listed, Iterable) or not all(isinstance(one, (str, os.PathLike)) for one in (*listed,)):
        raise InputError(f"{what} is the path of a file, or a list of such, got {paths!r}")
    return tuple(map(os.fspath, listed))
