"""Files are put in place whole or not at all."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass.artifacts import replacing, sha256_of


def test_replacing_puts_the_file_in_place(tmp_path: Path) -> None:
    """After the block the target is there, and nothing else is."""
    with replacing(tmp_path / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_on_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    """If the block raises, the old file stays and the half-written one goes."""
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"


def test_replacing_names_the_target(tmp_path: Path) -> None:
    """An error of the system names the file that the caller knows, not the temporary one."""
    target = tmp_path / "missing" / "a.txt"
    with pytest.raises(FileNotFoundError, match=r"missing/a\.txt"), replacing(target) as temporary:
        temporary.write_text("x")


@given(st.binary(max_size=3 << 20))
def test_sha256(data: bytes) -> None:
    """The digest is that of the content, over more than one piece too."""
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        assert sha256_of(file.name) == hashlib.sha256(data).hexdigest()
