"""NumPy's files from strangers: what they claim is looked at before it takes memory, and nothing in them runs."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass import InputError, TensorSpec
from onepass._array_files import read_array, read_arrays

_X = {"x": TensorSpec("x", np.dtype(np.float32), ("N", 4))}


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _claiming(shape: str, descr: str = "'<f4'") -> bytes:
    """A .npy whose header claims more than there is."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(16)


def _npz(path: Path, *, compression: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


_DTYPES = st.sampled_from([np.float32, np.int8, np.uint64, np.bool_, np.complex64])


@given(hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=0, min_side=0)))
def test_what_numpy_writes(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray[Any, Any]) -> None:
    """Arrays of any shape, by rows or by columns, compressed or not, come back as they were."""
    folder = tmp_path_factory.mktemp("arrays")
    np.save(folder / "a.npy", array)
    np.savez(folder / "a.npz", x=array, y=np.asfortranarray(array))
    np.savez_compressed(folder / "b.npz", x=array)
    both = {**read_arrays(folder / "a.npz"), "z": read_arrays(folder / "b.npz")["x"]}
    for found in (read_array(folder / "a.npy"), *both.values()):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("shape", [(10**9, 4), (2**40, 4), (2**20, 2**20), (2**63 - 1, 2**63 - 1)], ids=str)
def test_claims_take_no_memory(shape: tuple[int, ...], tmp_path: Path) -> None:
    """A small file that claims a huge array is refused, and takes no memory."""
    (tmp_path / "a.npy").write_bytes(_claiming(str(shape)))
    tracemalloc.start()
    for call in (
        lambda: read_array(tmp_path / "a.npy"),
        lambda: read_arrays(_npz(tmp_path / "a.npz", x=_claiming(str(shape)))),
        lambda: read_arrays(tmp_path / "a.npz", max_bytes=1 << 62),
        lambda: read_arrays(tmp_path / "a.npz", max_bytes=1000),
    ):
        with pytest.raises(InputError, match=r"bytes allowed|damaged"):
            call()
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_bomb(tmp_path: Path) -> None:
    """An archive that is small and unpacks to much is refused by its headers, each array and all of them together."""
    big = _npy(np.zeros((1 << 18, 4), np.float32))  # 4 MiB, in 4 KB
    file = _npz(tmp_path / "a.npz", a0=big, a1=big, a2=big, a3=big)
    assert len(read_arrays(file, max_bytes=16 << 20)) == 4
    with pytest.raises(
        InputError,
        match=r"array 'a3' of .*a\.npz needs 4194304 bytes.*but 4194303 of the 16777215 bytes .*max_bytes=16777216",
    ):
        read_arrays(file, max_bytes=(16 << 20) - 1)


def test_held_against_the_input(tmp_path: Path) -> None:
    """An array that the input cannot take is refused by its header; so is one that no input has."""
    with pytest.raises(InputError, match=r"input 'x' expected float32 \[N, 4\], got float32 \[100, 5\]"):
        read_arrays(_npz(tmp_path / "a.npz", x=_npy(np.zeros((100, 5), np.float32))), specs=_X)
    with pytest.raises(InputError, match="no input 'z'"):
        read_arrays(_npz(tmp_path / "a.npz", z=_npy(np.zeros((100, 4), np.float32))), specs=_X)
    np.save(tmp_path / "a.npy", np.zeros(3, np.float32))
    with pytest.raises(InputError, match=r"expected float32 \[N, 4\]"):
        read_array(tmp_path / "a.npy", spec=_X["x"])


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("it ran"),)


def test_no_pickle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects in an array are refused by the header, whatever their number."""
    monkeypatch.chdir(tmp_path)
    data = _npy(np.array([_Code()], object))
    Path("a.npy").write_bytes(data)
    for call in (lambda: read_array("a.npy"), lambda: read_arrays(_npz(Path("a.npz"), x=data))):
        with pytest.raises(InputError, match=r"Python objects; onepass does not load them"):
            call()
    assert not Path("it ran").exists()


def _encrypted(path: Path) -> None:
    _npz(path, x=_npy(np.zeros(3)))
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)


def _unknown_compression(path: Path) -> None:
    _npz(path, x=_npy(np.zeros(3)))
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + place] = 99
    path.write_bytes(data)


def _bad_lzma(path: Path) -> None:
    _npz(path, compression=zipfile.ZIP_LZMA, x=_npy(np.random.default_rng(0).standard_normal(1000)))
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)
    path.write_bytes(data)


_SPOILT = {
    "an npy": lambda path: path.write_bytes(_npy(np.zeros(3))),
    "nothing": lambda path: path.write_bytes(b""),
    "encrypted": _encrypted,
    "an unknown compression": _unknown_compression,
    "damaged LZMA": _bad_lzma,
    "a folder": lambda path: path.mkdir(),
    "text": lambda path: _npz(path, x=b"no array"),
    "a deep header": lambda path: _npz(path, x=_claiming("(" * 3000 + ")" * 3000)),
    "a strange dtype": lambda path: _npz(path, x=_claiming("(1,)", "[('a', 'O'), ('b', '<f4')]")),
    "a negative size": lambda path: _npz(path, x=_claiming("(-4, -4)")),
    "a header of version 9": lambda path: _npz(path, x=b"\x93NUMPY\x09\x00" + bytes(200)),
    "a size that is no number": lambda path: _npz(path, x=_claiming("(None,)")),
}  # fmt: skip


@pytest.mark.parametrize("what", _SPOILT)
def test_spoilt(what: str, tmp_path: Path) -> None:
    """Anything else under the name is told in a sentence, by the file's name."""
    _SPOILT[what](tmp_path / "a.npz")  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=r"a\.npz"):
        read_arrays(tmp_path / "a.npz")


def test_an_array_twice(tmp_path: Path) -> None:
    """Two members of one name are no two answers to one question."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", _npy(np.array([1])))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", _npy(np.array([2])))
    with pytest.raises(InputError, match="two arrays named 'x'"):
        read_arrays(tmp_path / "a.npz")
