"""Archives that try to write elsewhere, and archives that are damaged."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from onepass import ModelFormatError
from onepass.gaze.fetch._unpack import unpack


def _zip(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_members_come_out(tmp_path: Path) -> None:
    """Files and folders are unpacked, in place of what was there before."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    unpack(_zip(tmp_path / "a.zip", **{"a/b.txt": "hello", "c": "", "empty/": ""}), tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
    assert found == {"a", os.path.join("a", "b.txt"), "c", "empty"}  # noqa: PTH118 - as the system writes it
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "hello"


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "//server/evil", "C:/evil", "C:evil", "..\\evil", "\\evil", "a\\..\\..\\evil"],
)
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    """A member that would land outside is named, and nothing at all is unpacked."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("good", "good")
        member = zipfile.ZipInfo(name)
        member.filename = name
        opened.writestr(member, "evil")
    with pytest.raises(ModelFormatError, match="is outside the folder; nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert not Path("/evil").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    """Links could lead out later, and devices have no place in an archive of weights."""
    member = zipfile.ZipInfo("link")
    member.create_system, member.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(member, "/etc/passwd")
    with pytest.raises(ModelFormatError, match="'link' is a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_what_would_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small archive that would fill the disk is left as it is."""
    monkeypatch.setattr("onepass.gaze.fetch._unpack._MAX_BYTES", 1000)
    with pytest.raises(ModelFormatError, match="more than 1000 bytes"):
        unpack(_zip(tmp_path / "a.zip", zeros="0" * 2000), tmp_path / "out")


def test_damaged_archives_leave_what_was_there(tmp_path: Path) -> None:
    """No archive at all, half of one, and one with a flipped bit are refused, and the old folder stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("member", "text" * 100)
    data = archive.read_bytes()
    packed = bytearray(_zip(archive, member=os.urandom(200).hex()).read_bytes())
    packed[100:120] = bytes(20)  # no longer what the compression knows
    for damaged in (b"<html>please log in</html>", data[: len(data) // 2], data.replace(b"text", b"tex!", 1), packed):
        archive.write_bytes(damaged)
        with pytest.raises(ModelFormatError, match="is damaged or not a readable zip archive"):
            unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


def _members(*names: str) -> list[tuple[str, bytes]]:
    return [(name, b"x") for name in names]


@pytest.mark.parametrize(
    "members",
    [_members("a", "a/b"), _members("a/b", "a"), _members("n" * 300), _members("/".join("d" * 2500))],
    ids=["a file and a folder", "a folder and a file", "a long name", "deep"],
)
def test_members_that_no_folder_can_hold(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    """Names that contradict each other, or that no file can have, are the archive's fault and told as such."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        for name, data in members:
            opened.writestr(name, data)
    with pytest.raises(ModelFormatError, match=r"(cannot unpack .*a\.zip|a\.zip is damaged)"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_whose_content_is_damaged(tmp_path: Path, method: int) -> None:
    """However it is compressed, a member that cannot be read is an archive that is damaged."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as opened:
        opened.writestr("member", os.urandom(4000))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[45:2000] = bytes(1955)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ModelFormatError, match=r"(a\.zip is damaged|cannot unpack .*a\.zip)"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
