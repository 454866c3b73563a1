"""Outputs in files: what is written can be read back."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass import InputError, Outputs
from onepass.outputs import Array
from onepass.writers import check_path, write_outputs

numbers = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, np.float16])
arrays = numbers.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
NAMES = [
    "file",
    "a/b:0",
    "größe",
    "y",
    "Y",
    "y~2",
    "..",
    "",
    " ",
    "con",
    "NUL.x",
    "_con",
    "outputs.json",
    ".run-0",
    "%00",
]
named = st.dictionaries(st.sampled_from(NAMES), arrays, min_size=1, max_size=4)


@given(named)
def test_npz_and_folder_hold_the_same(values: dict[str, Array]) -> None:
    """Every name, dtype, shape and value survives in a .npz and in a folder."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        write_outputs(Outputs(values), Path(scratch, "out.npz"))
        write_outputs(Outputs(values), Path(scratch, "out"))
        index = json.loads(Path(scratch, "out", "outputs.json").read_text())
        assert list(index) == list(values)
        with np.load(Path(scratch, "out.npz"), allow_pickle=False) as saved:
            assert list(saved) == list(values)
            for name, array in values.items():
                single = np.load(Path(scratch, "out", index[name]["file"]), allow_pickle=False)
                for read in (saved[name], single):
                    assert read.dtype == array.dtype
                    np.testing.assert_array_equal(read, array)


@given(named)
def test_json_is_strict(values: dict[str, Array]) -> None:
    """The JSON is valid for any reader, and its lists have the array's values and shape."""
    import tempfile

    def refuse(token: str) -> Any:
        raise AssertionError(token)

    with tempfile.TemporaryDirectory() as scratch:
        path = write_outputs(Outputs(values), Path(scratch, "out.json"))
        read = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert list(read) == list(values)
    for name, array in values.items():
        assert read[name]["shape"] == list(array.shape)
        back = np.array(read[name]["data"]).astype(array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(back, array)


def test_types_that_files_do_not_know(tmp_path: Path) -> None:
    """bfloat16 and float8 are stored as float32 with the same values, and the index keeps their names."""
    values = np.array([0.5, -3, 448], np.float32)
    outputs = Outputs({"b": values.astype(ml_dtypes.bfloat16), "f": values.astype(ml_dtypes.float8_e4m3fn)})
    write_outputs(outputs, tmp_path / "o")
    write_outputs(outputs, tmp_path / "o.npz")
    index = json.loads((tmp_path / "o" / "outputs.json").read_text())
    assert [entry["dtype"] for entry in index.values()] == ["bfloat16", "float8_e4m3fn"]
    with np.load(tmp_path / "o.npz") as saved:
        np.testing.assert_array_equal(saved["b"], values)
        np.testing.assert_array_equal(saved["f"], values)


def test_complex_in_json(tmp_path: Path) -> None:
    """A complex number is a pair."""
    path = write_outputs(Outputs({"c": np.array([1 + 2j], np.complex64)}), tmp_path / "o.json")
    assert json.loads(path.read_text())["c"]["data"] == [[1.0, 2.0]]


def test_folders_are_made_and_tidied(tmp_path: Path) -> None:
    """Folders on the way are made; what an earlier call wrote and this one does not is gone, other files stay."""
    folder = tmp_path / "a" / "b"
    write_outputs(Outputs({"y": np.zeros(1), "z": np.zeros(1)}), folder)
    (folder / "mine.npy").touch()
    write_outputs(Outputs({"z": np.ones(2)}), folder)
    assert sorted(file.name for file in folder.iterdir()) == ["mine.npy", "outputs.json", "z.npy"]
    (folder / "outputs.json").write_text('{"evil": {"file": "../../kept.npy"}}')
    (tmp_path / "kept.npy").touch()
    write_outputs(Outputs({"z": np.ones(2)}), folder)
    assert (tmp_path / "kept.npy").exists()
    write_outputs(Outputs({"z": np.ones(2)}), tmp_path / "c" / "out.NPZ")
    with np.load(tmp_path / "c" / "out.NPZ") as saved:
        assert list(saved) == ["z"]


def test_names_that_other_systems_would_confuse(tmp_path: Path) -> None:
    """Names that differ by case get files that differ by more, and no file is called like a device of Windows."""
    names = ["Y", "y", "y~2", "ß", "SS", "CON", "aux.weights", "Com1", "a\0b", "a%00b"]
    write_outputs(Outputs({name: np.full(1, i) for i, name in enumerate(names)}), tmp_path / "out")
    index = json.loads((tmp_path / "out" / "outputs.json").read_text())
    files = [index[name]["file"] for name in names]
    assert files[:3] == ["Y.npy", "y~2.npy", "y~2~2.npy"]
    assert len({file.casefold() for file in files}) == len(names)
    assert not {file.split(".")[0].casefold() for file in files} & {"con", "aux", "com1"}
    assert [np.load(tmp_path / "out" / file).tolist() for file in files] == [[i] for i in range(len(names))]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (
            ["a\0b", "a"],
            r"output 'a\\x00b' cannot be stored in a \.npz file: zip archives cut names at a null character",
        ),
        (["x.npy", "x"], r"output 'x\.npy' cannot be stored in a \.npz file: numpy\.load would read it as 'x'"),
        (["n" * 70_000], r"\.npz file: the name has 70000 bytes, the limit is 65000; write a \.json file or a folder"),
    ],
    ids=["null", "ending", "length"],
)
def test_names_that_an_npz_cannot_hold(tmp_path: Path, names: list[str], why: str) -> None:
    """A name that would be read back as another output's is refused, and what stood there stays."""
    (tmp_path / "out.npz").write_bytes(b"before")
    with pytest.raises(InputError, match=why):
        write_outputs(Outputs({name: np.zeros(1) for name in names}), tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == b"before"


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
@pytest.mark.parametrize("name", ["pipe", "pipe.json", "pipe.fifo"])
def test_outputs_into_a_pipe(tmp_path: Path, name: str) -> None:
    """A pipe without an ending of ours gets JSON; it is neither replaced nor taken for a folder."""
    os.mkfifo(tmp_path / name)
    descriptor = os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK)
    write_outputs(Outputs({"y": np.arange(3)}), tmp_path / name)
    assert json.loads(os.read(descriptor, 1 << 16)) == {"y": {"dtype": "int64", "shape": [3], "data": [0, 1, 2]}}
    os.close(descriptor)


def test_a_file_where_a_folder_is_meant(tmp_path: Path) -> None:
    """A file is not taken for a folder, and that is said before anything is computed."""
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(InputError, match="a path without an extension means a folder, but a file exists there"):
        check_path(tmp_path / "out")
    with pytest.raises(NotADirectoryError, match="it is a file, expected a folder") as caught:
        check_path(tmp_path / "out" / "new" / "y.npz")
    assert caught.value.filename == str(tmp_path / "out")


def test_a_folder_whose_writing_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fills in the middle, the folder holds the former run and nothing else."""
    write_outputs(Outputs({"y": np.zeros(1), "z": np.zeros(1)}), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    save = np.save

    def full(file: Path, array: Array, **options: Any) -> None:
        if file.name.startswith("z"):
            raise OSError(28, "No space left on device")
        save(file, array, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_outputs(Outputs({"y": np.ones(1), "z": np.ones(1)}), tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_file_systems_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot have two names, it is copied."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for value in (1, 2):
        write_outputs(Outputs({"y": np.full(1, value)}), tmp_path)
        assert np.load(tmp_path / "y.npy").tolist() == [value]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["outputs.json", "y.npy"]


def test_long_names(tmp_path: Path) -> None:
    """Names longer than a file's name may be still get a file each, and the index knows which."""
    names = ["x" * 300 + end for end in "ab"]
    write_outputs(Outputs({name: np.full(1, i) for i, name in enumerate(names)}), tmp_path / "out")
    index = json.loads((tmp_path / "out" / "outputs.json").read_text())
    for i, name in enumerate(names):
        assert np.load(tmp_path / "out" / index[name]["file"]).tolist() == [i]


def test_other_endings(tmp_path: Path) -> None:
    """An ending that means nothing here is refused, and nothing is written."""
    with pytest.raises(InputError, match=r"unknown extension '.mat', expected .npz, .json or none"):
        write_outputs(Outputs({"y": np.zeros(1)}), tmp_path / "out.mat")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk fills in the middle, what stood there before still does."""
    path = tmp_path / "out.npz"
    write_outputs(Outputs({"y": np.zeros(1)}), path)
    before = path.read_bytes()

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        write_outputs(Outputs({"y": np.ones(9)}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
