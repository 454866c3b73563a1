"""What a batch is given, as rows and parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError
from onepass.batch._inputs import Inputs, Part, find_inputs
from onepass.batch._tables import open_table


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 7))
def test_parts_hold_every_row_once(counts: list[int], size: int) -> None:
    """Parts of tables follow one another, are full but for the last, and hold every row of every file once."""
    tables = tuple(f"{number}.parquet" for number in range(len(counts)))
    parts = list(Inputs("", tables=tables, counts=tuple(counts)).parts(size))
    rows = [(path, row) for part in parts for path, start, stop in part.slices for row in range(start, stop)]
    assert rows == [(path, row) for path, count in zip(tables, counts, strict=True) for row in range(count)]
    assert [part.rows for part in parts[:-1]] == [size] * len(parts[:-1])
    assert [part.number for part in parts] == list(range(len(parts)))
    assert [part.first for part in parts] == [size * part.number for part in parts]
    assert [Part.from_json(part.to_json()) for part in parts] == parts


@given(st.integers(1, 3_000_000))
def test_parts_are_neither_many_nor_large(rows: int) -> None:
    """Where nobody says how large parts are, they are files that one handles well, and work for several workers."""
    size = Inputs("", files=("x",), tables=("t",), counts=(rows - 1,)).rows_a_part()
    assert 256 <= size <= 8192
    assert rows / size <= 128 or size == 8192


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some files, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a/c.JPG", "a/d.npy", "e.txt", ".f.png", "_g/h.png", "clip.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_a_folder(files: Path) -> None:
    """A folder gives what it holds of pictures and arrays, by name; with gaze, pictures and videos."""
    found = find_inputs(files)
    assert (found.folder, found.files, found.passed_over) == (str(files), ("a/c.JPG", "a/d.npy", "b.png"), 2)
    assert find_inputs(files, gaze=True).files == ("a/c.JPG", "b.png", "clip.mp4")
    assert find_inputs(files, gaze=True).rows_a_part(gaze=True) == 1, "a video is a task of its own"


def test_links_that_lead_back(files: Path) -> None:
    """A folder is entered once, however often links lead to it."""
    (files / "a" / "loop").symlink_to("..")
    (files / "again").symlink_to("a")
    names = find_inputs(files).files
    assert sorted(names) == ["a/c.JPG", "a/d.npy", "b.png"]
    (files / "b.png").unlink()
    (files / "b.png").symlink_to("b.png")
    assert find_inputs(files).identity()["rows"] == 3, "a link to itself is a row, whose error it will be"


def test_patterns_and_lists(files: Path) -> None:
    """A pattern, or a list of files, gives just what it names, whatever the endings."""
    assert find_inputs("*.txt").files == ("e.txt",)
    assert find_inputs("**/*.JPG").files == ("a/c.JPG",)
    assert find_inputs(["b.png", "e.txt"]).files == ("b.png", "e.txt")
    assert find_inputs(files / "b.png").files == ("b.png",)


def test_what_does_not_go_together(files: Path) -> None:
    """Tables and files that are a row each are refused together, and so is a folder of neither."""
    (files / "t.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"cannot mix tables, such as t\.jsonl, with files of one row, such as b\.png"):
        find_inputs(["b.png", "t.jsonl"])
    (files / "none").mkdir()
    with pytest.raises(InputError, match="has no files; files whose names start with"):
        find_inputs(files / "none")
    (files / "empty.jsonl").touch()
    with pytest.raises(InputError, match="has no rows"):
        find_inputs(files / "empty.jsonl")


def test_tables_of_other_columns(files: Path) -> None:
    """Parquet files whose columns differ are no data set."""
    for name in ("x", "y"):
        pq.write_table(pa.table({name: [1.0]}), files / f"{name}.parquet")
    with pytest.raises(InputError, match=r"y\.parquet has the columns y, but .*x\.parquet has x"):
        find_inputs("*.parquet")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"x": np.zeros(3), "y": np.zeros(4)}, r"must have equal lengths: x \[3\], y \[4\]"),
    ({"x": np.zeros(3), "s": np.array(1)}, "contains a scalar"),
    ({"x": np.array([{}, {}], object)}, "contains Python objects"),
    ({"x": np.asfortranarray(np.zeros((3, 4)))}, "contains column-major data"),
])  # fmt: skip
def test_arrays_that_are_no_rows(arrays: Any, message: str, tmp_path: Path) -> None:
    """A .npz whose arrays are no rows says which of them, and how to save it."""
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        open_table(str(tmp_path / "a.npz"))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=6))
def test_tables_are_read_from_anywhere(slices: list[tuple[int, int]]) -> None:
    """Rows asked for in any order, forwards or back, are the rows."""
    for path in _TABLES:
        table = open_table(str(path))
        assert table.count() == 20
        for start, count in slices:
            stop = min(20, start + count)
            assert [float(row["x"][0]) for row in table.rows(start, stop)] == [float(n) for n in range(start, stop)]


@pytest.fixture(scope="module", autouse=True)
def _tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tables")
    x = np.arange(20, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    np.savez(folder / "a.npz", x=x)
    np.savez_compressed(folder / "b.npz", x=x)
    (folder / "c.jsonl").write_text("".join(json.dumps({"x": row.tolist()}) + "\n" for row in x))
    pq.write_table(pa.table({"x": x.tolist()}), folder / "d.parquet", row_group_size=6)
    _TABLES[:] = sorted(folder.iterdir())


_TABLES: list[Path] = []
