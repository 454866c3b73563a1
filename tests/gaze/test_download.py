"""Downloads that break off, go on, and end whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from onepass import ModelNotFoundError
from onepass.gaze.fetch._download import download
from tests.webserver import Site, serve

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
    with pytest.raises(
        ModelNotFoundError, match=r"broke after 1000 of 512000 bytes; 1000 bytes are here, and the next"
    ):
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
    with pytest.raises(ModelNotFoundError, match=rf"cannot fetch {site.url}: the server answers 404 Not Found"):
        download(site.url, target)
    assert not list(target.parent.iterdir())


def test_no_network(target: Path) -> None:
    """Where nobody answers, the message names the address and the reason."""
    with serve(b"") as gone:
        url = gone.url
    with pytest.raises(ModelNotFoundError, match=r"cannot fetch http://127\.0\.0\.1:\d+/file\.zip: .*refused"):
        download(url, target)
