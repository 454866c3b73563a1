"""Files from the web: resumed where they broke off, put in place when they are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from onepass._errors import ModelNotFoundError

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Is told how many bytes are here, and how many there will be, if the server says so."""

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def download(url: str, target: Path, *, progress: Progress | None = None) -> None:
    """Bring the file at `url` to `target`.

    What is there of an earlier try (in ``<target>.part``) is not asked for again, if the file on the server is still
    the same. A connection that breaks is taken up a few times.

    Raises:
        ModelNotFoundError: There is no network, no such file, or the connection keeps breaking; what has come stays.
    """
    part = target.with_name(f"{target.name}.part")
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            _fetch(url, part, progress)
        except HTTPError as error:
            raise ModelNotFoundError(f"cannot fetch {url}: the server answers {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:  # URLError is an OSError
            if _size(part) > before and attempt < _ATTEMPTS:
                continue
            reason = error.reason if isinstance(error, URLError) else error
            kept = f"; {_size(part)} bytes are here, and the next try goes on from there" if _size(part) else ""
            raise ModelNotFoundError(f"cannot fetch {url}: {reason}{kept}") from error
        break
    part.replace(target)
    _note_of(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    """Bring what is missing of a file; raises OSError if the connection breaks before its end."""
    request, have, note = Request(url), _size(part), _read_note(part)  # noqa: S310 - the caller's URL
    request.add_header("User-Agent", "onepass")
    if have and note.get("url") == url and note.get("version"):
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", note["version"])
    try:
        response = urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return None  # all of it is here
        if error.code == 416:  # what is here is not the beginning of that file
            part.unlink()
            return _fetch(url, part, progress)
        raise
    with response:
        start, total = _extent(response)
        if start > have:
            raise ConnectionError(f"the server sent what comes after byte {start}, and {have} are here")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        _note_of(part).write_text(json.dumps({"url": url, "version": "" if version.startswith("W/") else version}))
        with part.open("ab" if start else "wb") as file:
            file.truncate(start)
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                if progress is not None:
                    progress(file.tell(), total)
            if total is not None and file.tell() < total:
                raise ConnectionError(f"the connection broke after {file.tell()} of {total} bytes")
    return None


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Return where in the file the response begins, and how long the file is."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == 206 and found:
        return int(found[1]), int(found[2])
    length = response.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_note(part: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        return dict(json.loads(_note_of(part).read_text()))
    return {}
