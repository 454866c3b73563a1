"""Files from the web: resumed where they broke off, put in place when they are whole, and never without an end."""

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
"""Is told how many bytes are here, and how many there will be, if the server says so."""

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_MAX_BYTES = 2 << 30
_MAX_SECONDS = 3600.0
_NUMBER = r"[0-9]{1,18}"  # a greater one is no size of a file
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
    """Bring the file at `url` to `target`.

    What is there of an earlier try (in ``<target>.part``) is not asked for again, if the file on the server is still
    the same. A connection that breaks is taken up a few times.

    Args:
        url: Where it is.
        target: Where it goes.
        progress: Is told of it as it comes.
        max_bytes: How large it may be.
        max_seconds: How long it may take, all attempts together.

    Raises:
        ModelNotFoundError: It cannot be had, or not in this time; the message says why. What has come stays.
        ModelFormatError: It is larger than it may be; nothing stays.
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
                    f"cannot fetch {url}: the server answers {error.code} {error.reason}"
                ) from error
            except (OSError, HTTPException) as error:  # URLError is an OSError
                late = monotonic() > end
                if _size(part) > before and attempt < _ATTEMPTS and not late:
                    continue
                reason = error.reason if isinstance(error, URLError) else error
                reason = f"it took longer than {max_seconds:g} s" if late else reason
                kept = f"; {_size(part)} bytes are here, and the next try goes on from there" if _size(part) else ""
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
    """Bring what is missing of a file; raises OSError if the connection breaks before its end, or time is up."""
    response = _open(url, part, opener, end)
    if response is None:
        return
    with response:
        start, total = _extent(response)
        if start > _size(part):
            raise ConnectionError(f"the server sent what comes after byte {start}, and {_size(part)} are here")
        if total is not None and total > max_bytes:
            raise ModelFormatError(f"{url} has {total} bytes, more than the {max_bytes} that it may have")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        _write_note(part, {"url": url, "version": "" if version.startswith("W/") else version})
        with part.open("ab" if start else "wb") as file:
            file.truncate(start)
            while True:
                chunk = response.read1(_CHUNK_BYTES)  # what has come, however little
                file.write(chunk)
                if monotonic() > end:
                    raise TimeoutError("time is up")
                if not chunk:
                    break
                if file.tell() > max_bytes:
                    raise ModelFormatError(f"{url} has more than the {max_bytes} bytes that it may have")
                if progress is not None:
                    progress(file.tell(), total)
            if total is not None and file.tell() < total:
                raise ConnectionError(f"the connection broke after {file.tell()} of {total} bytes")


def _open(url: str, part: Path, opener: OpenerDirector, end: float) -> HTTPResponse | None:
    """Ask for what is missing of a file; return None if nothing is."""
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
            return None  # all of it is here
        part.unlink()  # what is here is not the beginning of that file
        return _open(url, part, opener, end)
    return response


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Return where in the file the response begins, and how long the file is.

    Raises:
        ConnectionError: The server's words for it cannot be understood.
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
    raise ConnectionError(f"the server's {name} makes no sense: {text and text[:40]!r}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _write_note(part: Path, note: dict[str, str]) -> None:
    with replacing(_note_of(part)) as temporary:
        temporary.write_text(json.dumps(note), encoding="utf-8")


def _read_note(part: Path) -> dict[str, str]:
    """Return what is known of the file that a part is of; nothing where that cannot be read, or sent to a server."""
    with suppress(OSError, ValueError, RecursionError):
        note = json.loads(_note_of(part).read_text(encoding="utf-8"))
        if isinstance(note, dict) and isinstance(version := note.get("version"), str) and _VERSION.fullmatch(version):
            return {"url": str(note.get("url")), "version": version}
    return {}
