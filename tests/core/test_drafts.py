"""Where files are put: what stands there already, a file, a link, a pipe or a device, is treated as what it is."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass.artifacts import replacing
from onepass.drafts import Draft, check_target, is_stream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links and pipes of POSIX")


def _put(target: Path, data: bytes = b"new") -> None:
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def _reader(pipe: Path, read: list[bytes]) -> threading.Thread:
    """Begin to read a pipe to its end."""
    thread = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    thread.start()
    return thread


def _device(folder: Path, minor: int) -> Path:
    """Make a memory device of our own: 3 is the one that swallows all, 7 the one that is always full."""
    device = folder / f"device-{minor}"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        device.open("wb").close()
    except PermissionError:
        pytest.skip("only root may make devices, and only where the file system has them")
    return device


# ---- what is no file -------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200_000))
def test_a_pipe_is_written_into(data: bytes) -> None:
    """Whoever reads a named pipe gets the whole file, and the pipe is still one."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        pipe, read = Path(scratch, "pipe.npz"), list[bytes]()
        os.mkfifo(pipe)
        reader = _reader(pipe, read)
        _put(pipe, data)
        reader.join(30)
        assert read == [data]
        assert pipe.is_fifo()
        assert [path.name for path in Path(scratch).iterdir()] == ["pipe.npz"]


def test_a_link_to_a_pipe(tmp_path: Path) -> None:
    """A link to a pipe is one, too."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    read: list[bytes] = []
    reader = _reader(tmp_path / "pipe", read)
    _put(tmp_path / "link")
    reader.join(30)
    assert read == [b"new"]
    assert (tmp_path / "link").is_symlink()


def test_a_device_stays_one(tmp_path: Path) -> None:
    """What swallows everything is written into; it is a device afterwards, with its permissions."""
    device = _device(tmp_path, 3)
    before = device.stat()
    _put(device)
    assert device.is_char_device()
    assert device.stat().st_mode == before.st_mode
    assert list(tmp_path.iterdir()) == [device]


def test_a_device_that_is_full(tmp_path: Path) -> None:
    """An error of the device has its name, and nothing is left anywhere."""
    device = _device(tmp_path, 7)
    with pytest.raises(OSError, match=rf"No space left on device: '{device}'"):
        _put(device)
    assert device.is_char_device()


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """What goes to /dev/stdout comes behind what was printed there before, also where that is a file."""
    os.write(1, b"before ")
    _put(Path("/dev/stdout"))
    os.write(1, b" after")
    assert capfd.readouterr().out == "before new after"
    assert is_stream("/dev/fd/1")
    assert is_stream("/dev/../dev/stdout")


# ---- files -----------------------------------------------------------------------------------------------------------


@given(st.sampled_from([0o600, 0o640, 0o644, 0o664, 0o200, 0o755, 0o222]))
def test_a_file_keeps_its_permissions(mode: int) -> None:
    """A file that only its owner may read is not readable by others because it was written anew."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "a.txt")
        file.write_bytes(b"old")
        file.chmod(mode)
        with replacing(file) as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == mode
            temporary.write_bytes(b"new")
        assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_obeys_the_umask(tmp_path: Path, umask: int) -> None:
    """A new file may be read by whom the user's umask says."""
    before = os.umask(umask)
    try:
        _put(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o400, 0o444, 0o000])
def test_a_read_only_file_stays(tmp_path: Path, mode: int) -> None:
    """What nobody may write is kept, from root too; the message says what it is and what to do."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")
    file.chmod(mode)
    with pytest.raises(PermissionError, match=rf"it is read-only; make it writable or choose another path: '{file}'"):
        _put(file)
    file.chmod(0o600)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_is_followed(tmp_path: Path, there: bool) -> None:
    """A link stays a link, in however many steps; what it leads to is written, in its own folder."""
    (tmp_path / "store").mkdir()
    real = tmp_path / "store" / "real.txt"
    if there:
        real.write_bytes(b"old")
    (tmp_path / "inner").symlink_to(Path("store", "real.txt"))
    (tmp_path / "outer").symlink_to("inner")
    with replacing(tmp_path / "outer") as temporary:
        assert temporary.parent == real.parent
        temporary.write_bytes(b"new")
    assert real.read_bytes() == b"new"
    assert (tmp_path / "outer").is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "outer", "real.txt", "store"]


def test_links_in_a_circle(tmp_path: Path) -> None:
    """Links that lead nowhere are an error that names the path."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=rf"symbolic links: '{tmp_path / 'a'}'"):
        _put(tmp_path / "a")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder is not written over, and asking for that early gives the same message."""
    (tmp_path / "out").mkdir()
    for ask in (_put, check_target):
        with pytest.raises(IsADirectoryError, match=r"it is a folder, expected a file: '.*out'"):
            ask(tmp_path / "out")


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_name_that_a_file_can_have(name: str) -> None:
    """Whatever name the file system takes is written, though the temporary one is longer."""
    import tempfile

    name = name if name not in (".", "..") else "dots"
    with tempfile.TemporaryDirectory() as scratch:
        _put(Path(scratch, name))
        assert [path.name for path in Path(scratch).iterdir()] == [name]


def test_a_name_as_long_as_may_be(tmp_path: Path) -> None:
    """A name of 255 bytes has room for no more, and needs none."""
    _put(tmp_path / ("é" * 125 + ".onnx"))
    (file,) = tmp_path.iterdir()
    assert len(os.fsencode(file.name)) == 255


def _write_nowhere(draft: Draft) -> None:
    draft.path.unlink()
    draft.path.mkdir()
    try:
        draft.path.write_bytes(b"x")
    finally:
        draft.path.rmdir()


def _fill_the_disk(draft: Draft) -> None:
    raise OSError(28, "No space left on device")


def _fail_like_arrow(draft: Draft) -> None:
    raise OSError(2, f"Failed to open local file '{draft.path}'")


@pytest.mark.parametrize("fail", [_write_nowhere, _fill_the_disk, _fail_like_arrow], ids=lambda each: each.__name__)
def test_errors_name_the_file_that_the_caller_knows(tmp_path: Path, fail: Callable[[Draft], None]) -> None:
    """The hidden temporary name is in no error of the system, wherever that puts it."""
    draft = Draft(tmp_path / "a.txt")
    with pytest.raises(OSError, match=r".") as caught:
        fail(draft)
    told = draft.told(caught.value)
    assert str(tmp_path / "a.txt") in str(told)
    assert draft.path.name not in str(told)
    draft.discard()


def test_errors_about_other_files_stay(tmp_path: Path) -> None:
    """An error that has nothing to do with the file goes on as it is."""
    error = FileNotFoundError(2, "No such file or directory", "other.bin")
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.txt"):
        raise error
    assert caught.value is error
