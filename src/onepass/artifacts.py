"""Files that onepass writes: replaced atomically, identified by content."""

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
    """Yield a temporary path; its file replaces `target` when the block ends without an exception.

    Until then the former file stays unchanged; if the block raises or is interrupted, the temporary file is removed.
    Links, pipes and devices: see `onepass.drafts.Draft`.

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
    """Return a file name that is not taken, not even in another case (some file systems ignore case).

    Args:
        stem: Start of the name; if the name is taken, a number follows it.
        suffix: End of the name.
        taken: Names in use, case-folded; the new name is added.
    """
    name, number = f"{stem}{suffix}", 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}~{number}{suffix}"
    taken.add(name.casefold())
    return name


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits; the file is read in chunks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def user_cache(kind: str) -> Path:
    """Return a folder in onepass's cache: ``$ONEPASS_CACHE``, or ``onepass`` in the user's cache folder.

    Args:
        kind: Name of the subfolder: ``engines``, ``environments``. It may not exist yet.
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
    """Return one or several paths as a tuple of strings.

    Raises:
        InputError: `paths` is neither a path nor a list of paths; the message calls it `what`.
    """
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    if not isinstance(listed, Iterable) or not all(isinstance(one, (str, os.PathLike)) for one in (*listed,)):
        raise InputError(f"{what} must be a file path or a list of file paths, got {paths!r}")
    return tuple(map(os.fspath, listed))
