"""Download files over HTTP: resumable, with limits on size and time, and moved into place once complete."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import OpenerDirector, Request

from onepass._errors import ModelFormatError, ModelNotFoundError
from onepass.artifacts import replacing
from onepass.drafts import sync
from onepass.gaze.fetch._deadline import Deadline

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the number of bytes received, and the total size if the server states it."""

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_MAX_BYTES = 2 << 30
_MAX_SECONDS = 3600.0
_NUMBER = r"[0-9]{1,18}"  # larger numbers cannot be file sizes
_RANGE = re.compile(rf"bytes ({_NUMBER})-{_NUMBER}/({_NUMBER})")
_VERSION = re.compile(r"[\x20-\x7e]{1,1000}")


def download(
    url: str,
    target: Path,
    *,
    progress: Progress | None = None,
    max_bytes: int = _MAX_BYTES,
    max_seconds: float = _MAX_SECONDS,
) -> None:
    """Download the file at `url` to `target`.

    A partial download of an earlier call (``<target>.part``) is resumed if the file on the server has not changed. A
    connection that breaks is retried a few times.

    Args:
        url: URL of the file.
        target: Path to write.
        progress: Called after each chunk.
        max_bytes: Maximum size of the file.
        max_seconds: Maximum duration of all attempts together.

    Raises:
        ModelNotFoundError: The download failed or took too long. The partial file is kept.
        ModelFormatError: The file is larger than `max_bytes`. The partial file is deleted.
    """
    part = target.with_name(f"{target.name}.part")
    end = monotonic() + max_seconds
    with Deadline(max_seconds) as deadline:
        for attempt in range(1, _ATTEMPTS + 1):
            before = _size(part)
            try:
                _fetch(url, part, progress, opener=deadline.opener, max_bytes=max_bytes, end=end)
            except HTTPError as error:
                raise ModelNotFoundError(
                    f"cannot fetch {url}: the server answered {error.code} {error.reason}"
                ) from error
            except (OSError, HTTPException) as error:  # URLError is an OSError
                late = monotonic() > end
                if _size(part) > before and attempt < _ATTEMPTS and not late:
                    continue
                reason = error.reason if isinstance(error, URLError) else error
                reason = f"it took longer than {max_seconds:g} s" if late else reason
                kept = f"; {_size(part)} bytes are kept, the next attempt resumes from there" if _size(part) else ""
                raise ModelNotFoundError(f"cannot fetch {url}: {reason}{kept}") from error
            except ModelFormatError:
                _drop(part)
                raise
            break
    sync(part)
    part.replace(target)
    _drop(part)


def _drop(part: Path) -> None:
    for file in (part, _note_of(part)):
        file.unlink(missing_ok=True)


def _fetch(
    url: str, part: Path, progress: Progress | None, *, opener: OpenerDirector, max_bytes: int, end: float
) -> None:
    """Download the missing part of a file; raise OSError if the connection breaks early or the time limit passes."""
    response = _open(url, part, opener, end)
    if response is None:
        return
    with response:
        start, total = _extent(response)
        if start > _size(part):
            raise ConnectionError(f"the server resumed at byte {start}, but only {_size(part)} bytes were received")
        if total is not None and total > max_bytes:
            raise ModelFormatError(f"{url} has {total} bytes, more than the limit of {max_bytes} bytes")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        _write_note(part, {"url": url, "version": "" if version.startswith("W/") else version})
        with part.open("ab" if start else "wb") as file:
            file.truncate(start)
            while True:
                chunk = response.read1(_CHUNK_BYTES)  # returns whatever has arrived
                file.write(chunk)
                if monotonic() > end:
                    raise TimeoutError("the time limit has passed")
                if not chunk:
                    break
                if file.tell() > max_bytes:
                    raise ModelFormatError(f"{url} has more than the limit of {max_bytes} bytes")
                if progress is not None:
                    progress(file.tell(), total)
            if total is not None and file.tell() < total:
                raise ConnectionError(f"the connection broke after {file.tell()} of {total} bytes")


def _open(url: str, part: Path, opener: OpenerDirector, end: float) -> HTTPResponse | None:
    """Request the missing part of a file; return None if the file is complete."""
    request, have, note = Request(url), _size(part), _read_note(part)  # noqa: S310 - the caller's URL
    request.add_header("User-Agent", "onepass")
    if have and note.get("url") == url:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", note["version"])
    try:
        response: HTTPResponse = opener.open(request, timeout=max(0.001, min(_TIMEOUT_S, end - monotonic())))
    except HTTPError as error:
        if not have or error.code != 416:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return None  # the file is complete
        part.unlink()  # the partial file does not belong to this file
        return _open(url, part, opener, end)
    return response


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Return the offset at which the response starts, and the size of the file.

    Raises:
        ConnectionError: The response's headers are invalid.
    """
    name = "Content-Range" if response.status == 206 else "Content-Length"
    text = response.headers.get(name)
    if response.status == 206:
        if found := _RANGE.fullmatch(text or ""):
            return int(found[1]), int(found[2])
    elif text is None:
        return 0, None
    elif re.fullmatch(_NUMBER, text.strip()):
        return 0, int(text)
    raise ConnectionError(f"the server sent an invalid {name}: {text and text[:40]!r}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _write_note(part: Path, note: dict[str, str]) -> None:
    with replacing(_note_of(part)) as temporary:
        temporary.write_text(json.dumps(note), encoding="utf-8")


def _read_note(part: Path) -> dict[str, str]:
    """Return the note that belongs to a partial file; empty if it is unreadable, or unfit for a request header."""
    with suppress(OSError, ValueError, RecursionError):
        note = json.loads(_note_of(part).read_text(encoding="utf-8"))
        if isinstance(note, dict) and isinstance(version := note.get("version"), str) and _VERSION.fullmatch(version):
            return {"url": str(note.get("url")), "version": version}
    return {}
