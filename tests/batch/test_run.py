"""A batch from its inputs to its files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import onepass
import onepass.batch
from onepass import InputError
from onepass.batch import PartRecord, Progress, read_manifest
from onepass.batch._inputs import find_inputs
from onepass.batch._job import Job
from onepass.batch._open import open_work
from onepass.batch._work import do_part
from onepass.media import read_picture, write_picture
from onepass.media.tensors import tensor_from_picture
from tests.batch.rows import ROWS, arrays, assert_direct, numbers, read, tensor_column
from tests.zoo import model


def test_table(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """A Parquet file through a model, with two workers: every output of every row, in order, under the row's name."""
    told: list[Progress] = []
    out = tmp_path / "out"
    made = onepass.batch.run(heads, table, out, key="name", rows_a_part=30, workers=2, batch=7, progress=told.append)
    assert [(part.file, part.rows) for part in made.parts] == [
        ("part-00000.parquet", 30), ("part-00001.parquet", 30), ("part-00002.parquet", 30), ("part-00003.parquet", 10)
    ]  # fmt: skip
    found = read(made)
    assert_direct(found, heads, {"x": x})
    assert found["key"].to_pylist() == [f"row {index}" for index in range(ROWS)]
    assert found.schema.names == ["key", "error", "zebra", "ant", "monkey"]
    assert told[0] == Progress(0, ROWS, 0, 0)
    assert told[-1] == Progress(ROWS, ROWS, 0, 0)
    assert sorted(each.name for each in out.iterdir()) == ["_LOCK", "_SUCCESS", *(part.file for part in made.parts)]
    assert read_manifest(out) == made
    again = onepass.batch.run(heads, table, out, key="name", rows_a_part=30, resume=True)
    assert again == made, "what is done is not done again"


def test_pictures_and_their_errors(tmp_path: Path) -> None:
    """Pictures of a folder and of folders in it; those that cannot be read have their error, and no neighbour has."""
    onnx, folder = tmp_path / "m.onnx", tmp_path / "pictures"
    model("(float[N, 3, 4, 6] image) => (float[N, 3, 4, 6] negative) { negative = Neg (image) }").save(onnx)
    (folder / "b").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b/c.png", "d.jpg"):
        write_picture(folder / name, rng.integers(0, 255, (9, 7, 3), np.uint8))
    (folder / "empty.png").touch()
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:40])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").touch()
    found = read(onepass.batch.run(onnx, folder, tmp_path / "out", outputs="negative"))
    names = ["a.png", "b/c.png", "d.jpg", "empty.png", "torn.png"]
    assert found["key"].to_pylist() == names
    errors = dict(zip(names, found["error"].to_pylist(), strict=True))
    assert "is empty (0 bytes)" in errors.pop("empty.png")
    assert "torn.png" in errors.pop("torn.png")
    assert set(errors.values()) == {None}
    with onepass.load(onnx) as session:
        for name, row in zip(names[:3], arrays(found, "negative"), strict=False):
            picture = tensor_from_picture(read_picture(folder / name), session.signature.inputs[0])
            assert session(picture)["negative"][0].tolist() == row


@pytest.mark.parametrize("kind", ["npz", "npy", "jsonl", "files", "folder of parquet"])
def test_other_inputs(kind: str, heads: Path, x: Any, tmp_path: Path) -> None:
    """Arrays with a row each, JSON Lines, arrays in files of their own: the same rows give the same outputs."""
    few, inputs = x[:10], tmp_path / f"in.{kind}"
    if kind == "npz":
        np.savez_compressed(inputs, x=few)
    elif kind == "npy":
        np.save(inputs, few)
    elif kind == "jsonl":
        inputs.write_text("".join(json.dumps({"x": row.tolist(), "id": index}) + "\n" for index, row in enumerate(few)))
    else:
        inputs = tmp_path / "folder"
        inputs.mkdir()
        for index, row in enumerate(few):
            if kind == "files":
                np.save(inputs / f"{index}.npy", row)
            else:
                pq.write_table(pa.table({"whatever": tensor_column(row[None])}), inputs / f"{index}.parquet")
    found = read(onepass.batch.run(heads, inputs, tmp_path / "out", rows_a_part=4))
    assert_direct(found, heads, {"x": few})
    assert found["key"].to_pylist() == [f"{index}.npy" if kind == "files" else str(index) for index in range(10)]


def test_pictures_in_a_table(tmp_path: Path) -> None:
    """A column of pictures, as data sets have them (bytes, or a struct with bytes), feeds an input of another name."""
    onnx = tmp_path / "m.onnx"
    model("(uint8[N, 2, 2, 3] image) => (uint8[N, 2, 2, 3] same) { same = Identity (image) }").save(onnx)
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    write_picture(tmp_path / "a.png", picture)
    data = (tmp_path / "a.png").read_bytes()
    rows = [{"bytes": data, "path": "a.png"}, None, {"bytes": b"none", "path": None}]
    pq.write_table(pa.table({"jpeg": rows, "id": [7, 8, 9]}), tmp_path / "in.parquet")
    made = onepass.batch.run(onnx, tmp_path / "in.parquet", tmp_path / "out", columns={"image": "jpeg"}, key="id")
    found = read(made)
    assert arrays(found, "same") == [picture.tolist(), None, None]
    assert found["key"].to_pylist() == ["7", "8", "9"]
    assert made.errors == 2


def test_preprocess(heads: Path, table: Path, bad_table: Path, x: Any, tmp_path: Path) -> None:
    """A function of the user's makes a row's inputs; what it raises is that row's error."""
    found = read(onepass.batch.run(heads, table, tmp_path / "out", preprocess="tests.batch.functions:doubled"))
    assert_direct(found, heads, {"x": 2 * x})
    for function, raised in {
        "raising": "raised ZeroDivisionError: of this row",
        "leaving": "raised SystemExit: with a name that is no text: \\udce9",
    }.items():
        name = f"tests.batch.functions:{function}"
        found = read(onepass.batch.run(heads, bad_table, tmp_path / function, preprocess=name))
        assert_direct(found, heads, {"x": x}, but=(42,))
        assert found["error"][42].as_py() == f"{name} {raised}"


def test_shapes_that_vary(tmp_path: Path) -> None:
    """Rows of any length in one column of one type, in every file, also where all rows of a file happen to be alike."""
    onnx, inputs = tmp_path / "m.onnx", tmp_path / "in.jsonl"
    model("(float[N, L] x) => (float[N, L] y) { y = Neg (x) }").save(onnx)
    lengths = [3, 3, 3, 3, 1, 2, 3, 0]
    inputs.write_text("".join(json.dumps({"x": [1.0] * length}) + "\n" for length in lengths))
    found = read(onepass.batch.run(onnx, inputs, tmp_path / "out", rows_a_part=4))
    assert str(found.schema.field("y").type) in ("list<item: float>", "list<element: float>")
    assert found["y"].to_pylist() == [[-1.0] * length for length in lengths]


def test_names_of_ours_give_way(tmp_path: Path) -> None:
    """An output called `key` or `error` keeps its name; the columns of ours get an underscore."""
    onnx = tmp_path / "m.onnx"
    model("(float[N] x) => (float[N] key, float[N] error) { key = Neg (x) \n error = Abs (x) }").save(onnx)
    np.save(tmp_path / "x.npy", np.array([1, -2], np.float32))
    found = read(onepass.batch.run(onnx, tmp_path / "x.npy", tmp_path / "out"))
    assert found.to_pydict() == {"_key": ["0", "1"], "_error": [None] * 2, "key": [-1, 2], "error": [1, 2]}


def test_an_error_may_stop_the_batch(heads: Path, bad_table: Path, tmp_path: Path) -> None:
    """With on_error="stop" the first bad row ends the batch by its name, and nothing passes for finished."""
    with pytest.raises(InputError, match=r"row '42': .* ZeroDivisionError"):
        onepass.batch.run(
            heads, bad_table, tmp_path / "out", preprocess="tests.batch.functions:raising", on_error="stop"
        )
    with pytest.raises(InputError, match=r"contains no finished batch.*resume=True"):
        read_manifest(tmp_path / "out")


def _begun(heads: Path, table: Path, out: Path) -> None:
    """Leave an unfinished batch in a folder: all but its third part."""
    onepass.batch.run(heads, table, out, rows_a_part=20)
    (out / "_parts").mkdir()
    done = json.loads((out / "_SUCCESS").read_text())
    (out / "_JOB").write_text(json.dumps(done["job"]))
    for number, part in enumerate(done["parts"]):
        (out / "_parts" / f"{number:05}.json").write_text(json.dumps(part))
    (out / "_SUCCESS").unlink()
    (out / "part-00002.parquet").unlink()


def test_resume(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """What is unfinished goes on: parts that are whole stay, missing and damaged ones are done again."""
    out = tmp_path / "out"
    _begun(heads, table, out)
    (out / "part-00000.parquet").write_bytes((out / "part-00000.parquet").read_bytes()[:-1] + b"?")
    (out / ".part-00002.0123456789ab.parquet").write_bytes(b"half")
    (out / "_parts" / "00004.json").write_text("{")
    stamps = {name: (out / name).stat().st_mtime_ns for name in ("part-00001.parquet", "part-00003.parquet")}
    told: list[Progress] = []
    found = read(onepass.batch.run(heads, table, out, rows_a_part=5, resume=True, progress=told.append))
    assert_direct(found, heads, {"x": x})
    assert {name: (out / name).stat().st_mtime_ns for name in stamps} == stamps
    assert told[0].earlier == told[0].done == 40
    assert not [each for each in out.iterdir() if each.name.startswith(".")]


def test_another_job_is_refused(heads: Path, table: Path, tmp_path: Path) -> None:
    """A folder takes up its own job only: not other options, another model, or inputs that have changed."""
    out, mine, changed = tmp_path / "out", tmp_path / "mine.onnx", tmp_path / "in.parquet"
    shutil.copy(heads, mine)
    shutil.copy(table, changed)
    _begun(mine, changed, out)
    run = onepass.batch.run
    with pytest.raises(InputError, match="already contains an unfinished batch; continue it with resume=True"):
        run(mine, changed, out)
    with pytest.raises(InputError, match=r"an option differs: outputs is now \['ant'\], and was None"):
        run(mine, changed, out, outputs=["ant"], resume=True)
    changed.touch()
    with pytest.raises(InputError, match=r"job \(the inputs differ\)"):
        run(mine, changed, out, resume=True)
    model("(float[N, 4] x) => (float[N, 4] y) { y = Neg (x) }").save(mine)
    with pytest.raises(InputError, match=r"job \(the model's content differs\)"):
        run(mine, changed, out, resume=True)


def test_a_folder_of_something_else_is_left_alone(heads: Path, table: Path, tmp_path: Path) -> None:
    """A batch does not write among other people's files, and does not begin where a batch is done."""
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match=r"contains other files, such as 'mine\.txt'"):
        onepass.batch.run(heads, table, tmp_path)
    onepass.batch.run(heads, table, tmp_path / "out")
    with pytest.raises(InputError, match="already contains a batch; continue it with resume=True"):
        onepass.batch.run(heads, table, tmp_path / "out")


def test_what_never_began_is_in_nobodys_way(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """A batch that was killed before a part of it was whole leaves nothing that another job would have to fit."""
    _begun(heads, table, tmp_path)
    for record in (tmp_path / "_parts").iterdir():
        record.unlink()
    found = read(onepass.batch.run(heads, table, tmp_path, outputs="ant"))
    assert found.schema.names == ["key", "error", "ant"]
    assert len(list(tmp_path.glob("part-*"))) == 1


def test_json_is_held_as_it_is(tmp_path: Path) -> None:
    """Numbers that the input's dtype cannot hold, and rows without a key, are errors; a text keeps its zeros."""
    model("(float[N] x, string[N] s) => (float[N] y, string[N] t) { y = Neg (x) \n t = Identity (s) }").save(
        tmp_path / "m.onnx"
    )
    rows: list[dict[str, Any]] = [
        {"x": 1, "s": "a\0", "id": 0}, {"x": 1e39, "s": "", "id": 1}, {"x": 1, "s": ""}, {"x": 1, "s": "", "id": None}
    ]  # fmt: skip
    lines = [*map(json.dumps, rows), '{"x": 1e999, "s": "", "id": 4}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    found = read(onepass.batch.run(tmp_path / "m.onnx", tmp_path / "in.jsonl", tmp_path / "out", key="id"))
    errors = found["error"].to_pylist()
    assert errors[0] is None
    assert "float32 cannot hold values from 1e+39 to 1e+39" in errors[1]
    assert errors[2] == errors[3].replace("3", "2") == "row 2 has no key: column 'id' is empty"
    assert "cannot hold values from inf to inf" in errors[4]
    assert (found["y"][0].as_py(), found["t"][0].as_py().rstrip("\0")) == (-1.0, "a")


def test_one_process_at_a_time(heads: Path, table: Path, tmp_path: Path) -> None:
    """A second batch into a folder that one is at work in is refused at once."""
    from onepass.batch._folder import held

    with held(tmp_path / "out"), pytest.raises(InputError, match="another process is writing a batch to"):
        onepass.batch.run(heads, table, tmp_path / "out", resume=True)


@pytest.mark.parametrize(("options", "message"), [
    ({"workers": 0}, "workers must be a whole number ≥ 1, got 0"),
    ({"batch": True}, "batch, the maximum rows per pass, must be"),
    ({"on_error": "ignore"}, "on_error: expected row or stop, got 'ignore'"),
    ({"patience_s": 0}, "patience_s must be a number of seconds > 0"),
    ({"preprocess": "nowhere:f"}, "preprocess='nowhere:f': No module named 'nowhere'"),
    ({"preprocess": "json"}, "preprocess='json': expected module:function"),
    ({"key": "nam"}, r"rows\.parquet has no column 'nam'\. Did you mean 'name'\?"),
    ({"columns": {"x": "y"}}, "no column 'y' for input 'x'; the table has x, name"),
    ({"preprocess": "json:__name__"}, "is not a function"),
    ({"preprocess": lambda row: row}, "worker processes cannot import"),
    ({"gaze": True, "outputs": ["ant"]}, "gaze=True cannot be combined with outputs="),
    ({"inputs": "nothing/"}, "file or folder 'nothing/' not found"),
    ({"inputs": "*.none"}, r"no file matches '\*\.none'"),
    ({"inputs": []}, "no inputs given"),
    ({"outputs": ["elephant"]}, "the model has no output 'elephant'"),
])  # fmt: skip
def test_wrong_arguments(options: dict[str, Any], message: str, heads: Path, table: Path, tmp_path: Path) -> None:
    """A wrong argument is told before anything is computed, in the words of whoever gave it."""
    inputs = options.pop("inputs", table)
    with pytest.raises(onepass.OnepassError, match=message):
        onepass.batch.run(heads, inputs, tmp_path / "out", **options)


def test_row_by_row(heads: Path, bad_table: Path, x: Any, tmp_path: Path) -> None:
    """Done row by row, with rows to leave out, a part has what it has otherwise, and each row is told of before."""
    work = open_work(Job(onepass.ModelSpec(heads)), workers=1)
    [part] = find_inputs(bad_table).parts(ROWS)
    (tmp_path / "_parts").mkdir()
    told: list[tuple[str, int, int]] = []

    def do(*, poison: dict[int, str], stop: bool = False) -> PartRecord:
        return do_part(
            work, tmp_path, part, poison=poison, careful=True, stop=stop, told=lambda *each: told.append(each)
        )

    record = do(poison={7: "it was too much"})
    table = pq.read_table(tmp_path / record.file)
    x = x.copy()
    x[42, 0] = -1
    assert_direct(table, heads, {"x": x}, but=(7,))
    assert table["error"][7].as_py() == "it was too much"
    assert [number for what, number, _ in told if what == "row"] == list(range(ROWS))
    assert [sum(column) for column in zip(*(each[1:] for each in told if each[0] == "rows"), strict=True)] == [ROWS, 1]
    with pytest.raises(InputError, match="row '7': it was too much"):
        do(poison={7: "it was too much"}, stop=True)


def test_a_file_in_place_of_the_folder(heads: Path, table: Path, tmp_path: Path) -> None:
    """Where a file is in the way, that is said."""
    (tmp_path / "out").touch()
    for out in (tmp_path / "out", tmp_path / "out" / "inner"):
        with pytest.raises(InputError, match="a batch needs a folder for its output"):
            onepass.batch.run(heads, table, out)


def test_names_that_are_no_text(heads: Path, x: Any, tmp_path: Path) -> None:
    """Names of files that are no UTF-8 are written so that they can be read; a link that leads nowhere is a row."""
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "a.npy", x[0])
    name = os.fsdecode(b"caf\xe9.npy")
    np.save(tmp_path / "x.npy", x[1])
    (tmp_path / "x.npy").rename(folder / name)
    (folder / os.fsdecode(b"caf\xe9.png")).touch()
    (folder / "nowhere.npy").symlink_to("nothing")
    found = read(onepass.batch.run(heads, folder, tmp_path / "out"))
    assert found["key"].to_pylist() == ["a.npy", "caf\\udce9.npy", "caf\\udce9.png", "nowhere.npy"]
    assert arrays(found, "monkey")[:2] == np.maximum(x[:2], 0).tolist()
    assert "caf\\udce9.png is empty" in found["error"][2].as_py()
    assert "nowhere.npy" in found["error"][3].as_py()


def test_strings_that_are_no_text(tmp_path: Path) -> None:
    """Halves of pairs in JSON become what Arrow can hold, in keys and in outputs."""
    model("(string[N] x) => (string[N] y) { y = Identity (x) }").save(tmp_path / "m.onnx")
    (tmp_path / "in.jsonl").write_text('{"x": "\\udce9", "id": "\\ud800"}\n{"x": "fine", "id": 1}\n')
    found = read(onepass.batch.run(tmp_path / "m.onnx", tmp_path / "in.jsonl", tmp_path / "out", key="id"))
    assert found["key"].to_pylist() == ["\\ud800", "1"]
    assert found["y"][1].as_py() == "fine"
    assert (found["y"][0].as_py() is None) == (found["error"][0].as_py() is not None)


def test_a_damaged_table_costs_its_own_rows(heads: Path, tmp_path: Path) -> None:
    """Rows that a damaged Parquet file does not give have an error each; other files have all of theirs."""
    for index in range(2):
        few = pa.table({"x": tensor_column(numbers(50, seed=index))})
        pq.write_table(few, tmp_path / f"{index}.parquet", row_group_size=25, compression="gzip")
    path = tmp_path / "0.parquet"
    data = bytearray(path.read_bytes())
    offset = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[offset + 40 : offset + 60] = bytes(20)
    path.write_bytes(data)
    made = onepass.batch.run(heads, tmp_path, tmp_path / "out")
    found = read(made)
    errors = found["error"].to_pylist()
    assert made.errors == 25
    assert all("0.parquet is damaged" in error for error in errors[25:50])
    assert errors[:25] == [None] * 25
    assert errors[50:] == [None] * 50
