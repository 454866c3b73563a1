"""Downloads that break off, go on, and end whole or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onepass import ModelFormatError, ModelNotFoundError
from onepass.gaze.fetch._download import download
from tests.webserver import Site, drip, serve

DATA = bytes(range(256)) * 2000


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with one file."""
    with serve(DATA) as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the file shall be."""
    return tmp_path / "file.zip"


def test_a_file_comes_whole(site: Site, target: Path) -> None:
    """The file arrives, nothing is left beside it, and progress ends at its size."""
    seen: list[tuple[int, int | None]] = []
    download(site.url, target, progress=lambda here, total: seen.append((here, total)))
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ["file.zip"]
    assert seen == sorted(seen)
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_broken_connection_is_taken_up(site: Site, target: Path) -> None:
    """After a break only what is missing is asked for."""
    site.break_after = [100_000, 50_000]
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert site.asked == ["", "bytes=100000-", "bytes=150000-"]


def test_the_next_try_goes_on(site: Site, target: Path) -> None:
    """When the connection keeps breaking, what came stays, the message says how much, and a later call goes on."""
    site.break_after = [1000, 0]
    with pytest.raises(ModelNotFoundError, match=r"broke after 1000 of 512000 bytes; 1000 bytes are kept, the next"):
        download(site.url, target)
    assert not target.exists()
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert site.asked[-1] == "bytes=1000-"


def test_a_file_that_has_changed_is_begun_anew(site: Site, target: Path) -> None:
    """Two versions of a file are never joined."""
    site.break_after = [1000, 0]
    with pytest.raises(ModelNotFoundError):
        download(site.url, target)
    site.data, site.etag = DATA[::-1], '"2"'
    download(site.url, target)
    assert target.read_bytes() == DATA[::-1]


@pytest.mark.parametrize("etag", ['W/"1"', ""])
def test_without_a_firm_version_it_is_begun_anew(site: Site, target: Path, etag: str) -> None:
    """Where the server cannot say that the file is the same, all of it is asked for again."""
    site.etag, site.break_after = etag, [1000, 0]
    download_failed = pytest.raises(ModelNotFoundError)
    with download_failed:
        download(site.url, target)
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert set(site.asked) == {""}


def test_a_server_without_ranges(site: Site, target: Path) -> None:
    """A server that sends all of it again is no trouble."""
    site.ranges, site.break_after = False, [1000]
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert site.asked == ["", "bytes=1000-"]


def test_a_part_that_is_whole_already(site: Site, target: Path) -> None:
    """If only the renaming was missing, nothing comes a second time; if too much is here, it is begun anew."""
    site.break_after = [1000, 0]
    with pytest.raises(ModelNotFoundError):
        download(site.url, target)
    part = target.with_name("file.zip.part")
    note = target.with_name("file.zip.part.json").read_text()
    part.write_bytes(DATA)
    download(site.url, target)
    assert target.read_bytes() == DATA
    part.write_bytes(DATA + b"more")
    target.with_name("file.zip.part.json").write_text(note)
    download(site.url, target)
    assert target.read_bytes() == DATA


def test_what_the_server_refuses(site: Site, target: Path) -> None:
    """A refusal is told with the address and the server's answer."""
    site.status = 404
    with pytest.raises(ModelNotFoundError, match=rf"cannot fetch {site.url}: the server answered 404 Not Found"):
        download(site.url, target)
    assert not list(target.parent.iterdir())


def test_no_network(target: Path) -> None:
    """Where nobody answers, the message names the address and the reason."""
    with serve(b"") as gone:
        url = gone.url
    with pytest.raises(ModelNotFoundError, match=r"cannot fetch http://127\.0\.0\.1:\d+/file\.zip: .*refused"):
        download(url, target)


@pytest.mark.parametrize("length", ["abc", "9" * 5000, "-1", "1e3", "0x10"])
def test_a_length_that_makes_no_sense(site: Site, target: Path, length: str) -> None:
    """What the server says of the length is told where it cannot be understood, shortened."""
    site.says = {"Content-Length": length}
    with pytest.raises(
        ModelNotFoundError, match=r"cannot fetch .*: the server sent an invalid Content-Length: '"
    ) as said:
        download(site.url, target)
    assert len(str(said.value)) < 250
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("range_", ["abc", f"bytes {'9' * 5000}-1/2", "bytes 1000-511999/*", None])
def test_a_range_that_makes_no_sense(site: Site, target: Path, range_: str | None) -> None:
    """A part whose place cannot be understood is not taken for the whole file; what is here stays."""
    site.break_after = [1000, 0]
    with pytest.raises(ModelNotFoundError):
        download(site.url, target)
    site.says = {"Content-Range": range_}
    with pytest.raises(ModelNotFoundError, match=r"invalid Content-Range: .*; 1000 bytes are kept"):
        download(site.url, target)
    site.says = {}
    download(site.url, target)
    assert target.read_bytes() == DATA


def test_a_length_that_is_not_told(site: Site, target: Path) -> None:
    """Without a length the end of the connection is the end of the file."""
    site.says = {"Content-Length": None}
    download(site.url, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("told", [True, False])
def test_a_file_that_is_too_large(site: Site, target: Path, told: bool) -> None:
    """More than may come is refused, by what the server says or by what comes, and nothing of it stays."""
    if not told:
        site.says = {"Content-Length": None}
    with pytest.raises(ModelFormatError, match=r"has .*more than the limit of 70000 bytes"):
        download(site.url, target, max_bytes=70_000)
    assert not list(target.parent.iterdir())
    site.says = {}
    download(site.url, target, max_bytes=len(DATA))
    assert target.read_bytes() == DATA


def test_a_server_that_takes_for_ever(site: Site, target: Path) -> None:
    """A trickle that never stops ends when the time for all of it is up; what came stays, and the next try goes on."""
    site.waits = 0.02
    with pytest.raises(ModelNotFoundError, match=r"it took longer than 0\.1 s; \d+ bytes are kept, the next attempt"):
        download(site.url, target, max_seconds=0.1)
    site.waits = 0
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert site.asked[-1] != ""


_OK, _CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 ", _OK + b"X: ", b"HTTP/1.1 404 Not found\r\nX: ", b"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n",
     _OK + b"\r\n", _OK + b"Content-Length: 100000\r\n\r\n", _OK + _CHUNKED + b"5;", _OK + _CHUNKED + b"0\r\nX: "],
    ids=["status", "reason", "header", "header of an error", "body of a redirection", "body without a length", "body",
         "size of a chunk", "trailer"],
)  # fmt: skip
def test_a_server_that_drips(beginning: bytes, target: Path) -> None:
    """Whatever a server draws out, the time is up all the same, and what came is not taken for the whole."""
    with drip(beginning) as url, pytest.raises(ModelNotFoundError, match=r"it took longer than 0\.2 s|answered 404"):
        download(url, target, max_seconds=0.2)
    assert not target.exists()
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.mark.parametrize(
    "note",
    [b"", b"{", b"[]", b"5", b"null", b"\xff", b"[" * 100_000, b'{"url": 1}', b'{"url": "URL", "version": 7}',
     b'{"url": "URL", "version": "a\\r\\nX: y"}', b'{"url": "URL", "version": "\\u20ac"}',
     b'{"url": "URL", "version": null}', b'["url", "version"]', b'[["url", "URL"]]'],
    ids=range(14),
)  # fmt: skip
def test_a_damaged_note(site: Site, target: Path, note: bytes) -> None:
    """Whatever stands in the note beside a part, the file comes, from its beginning if need be."""
    target.with_name("file.zip.part").write_bytes(DATA[:1000])
    target.with_name("file.zip.part.json").write_bytes(note.replace(b"URL", site.url.encode()))
    download(site.url, target)
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ["file.zip"]


def test_a_server_that_refuses_every_range(site: Site, target: Path) -> None:
    """A server that answers 416 to everything is an error, not a question without an end."""
    site.status = 416
    with pytest.raises(ModelNotFoundError, match="the server answered 416"):
        download(site.url, target)
    target.with_name("file.zip.part").write_bytes(DATA[:10])
    target.with_name("file.zip.part.json").write_text(json.dumps({"url": site.url, "version": site.etag}))
    with pytest.raises(ModelNotFoundError, match="the server answered 416"):
        download(site.url, target)
