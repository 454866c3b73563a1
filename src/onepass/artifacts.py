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
from onepass.drafts import Draft

_CHUNK_BYTES = 1 << 20


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, whose file takes the place of `target` when the block ends well.

    What place that is, where `target` is a link, a pipe or a device, says `onepass.drafts.Draft`. Until then whatever
    stood there stays as it was; if the block raises (or is interrupted), the temporary file is removed.

    Example::

        with replacing("model.onnx") as temporary:
            temporary.write_bytes(data)
    """
    draft = Draft(target)
    try:
        yield draft.path
        draft.put()
    except OSError as error:
        told = draft.told(error)
        if told is error:
            raise
        raise told from error
    finally:
        draft.discard()


def free_name(stem: str, suffix: str, taken: set[str]) -> str:
    """Return a file's name that differs from those taken by more than its case, which is nothing to some systems.

    Args:
        stem: What it begins with; if that is taken, a number comes behind it.
        suffix: What it ends with.
        taken: Names, case folded; the new one is added.
    """
    name, number = f"{stem}{suffix}", 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}~{number}{suffix}"
    taken.add(name.casefold())
    return name


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
