"""Gaze tables: what is in a row, and what is left of a table after an accident."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MediaError, MissingExtraError
from onepass.gaze import (
    COLUMNS,
    Box,
    Eye,
    Face,
    Gaze,
    GazeWords,
    HeadPose,
    MovementTable,
    ParquetTable,
    StreamResult,
    TextTable,
    open_table,
)
from onepass.gaze.show import tables
from onepass.gaze.show.columns import rows_of
from onepass.media import Frame

NAMES = [column.name for column in COLUMNS]


def eye(side: str, x: float, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> Eye:
    """Return an eye of 40 pixels about (x, 50)."""
    turn = np.pi + np.arange(8) * np.pi / 4
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    mirror = np.array([1, 1]) if side == "left" else np.array([-1, 1])
    return Eye(
        side=side,  # type: ignore[arg-type]
        eyelid=(x, 50) + ring * (20, 6) * mirror,
        iris=(x, 50) + ring * 5,
        iris_centre=np.array([x, 50]),
        eyeball_centre=np.array([x, 51]),
        eyeball_radius_px=17,
        gaze=Gaze(np.radians(pitch_deg), np.radians(yaw_deg)),
        confidence=0.7,
    )


def result(*faces: Face, index: int = 0, seconds: float | None = 0.5) -> StreamResult:
    """Return a result with these faces."""
    frame = Frame(np.zeros((80, 100, 3), np.uint8), index, seconds, f"{index:06}.jpg")
    return StreamResult(frame, faces, "mesh")


HEAD = HeadPose(0.0, np.radians(10), 0.0)
TURNED = Face(
    Box(10, 20, 60, 70),
    (eye("right", 30, yaw_deg=20), eye("left", 60, yaw_deg=20)),
    HEAD,
    id=7,
    screen_px=np.array([800.0, 400.0]),
    speed_deg_s=80.0,
)
PLAIN = Face(Box(1, 2, 3, 4), (eye("left", 60, pitch_deg=-5),))


def test_a_row_for_each_eye() -> None:
    """Two faces with three eyes are three rows, each with the frame's, its face's and its own values."""
    rows = list(rows_of(result(TURNED, PLAIN, index=12)))
    assert [list(row) for row in rows] == [NAMES] * 3
    assert [(row["frame"], row["faces"], row["face"], row["face_id"], row["eye"]) for row in rows] == [
        (12, 2, 0, 7, "right"),
        (12, 2, 0, 7, "left"),
        (12, 2, 1, None, "left"),
    ]
    assert {row["seconds"] for row in rows} == {0.5}
    assert rows[2]["eye_pitch_deg"] == pytest.approx(-5)


def test_directions_in_both_frames() -> None:
    """A head that is turned by 10 degrees with eyes turned by 20 has its gaze at 10 degrees in its own frame."""
    row = next(rows_of(result(TURNED)))
    for name, expected in {
        "head_yaw_deg": 10, "head_pitch_deg": 0, "head_roll_deg": 0, "gaze_yaw_deg": 20, "gaze_in_head_yaw_deg": 10,
        "gaze_in_head_pitch_deg": 0, "eye_yaw_deg": 20, "eye_in_head_yaw_deg": 10, "eye_in_head_pitch_deg": 0,
    }.items():  # fmt: skip
        assert row[name] == pytest.approx(expected, abs=1e-9), name


def test_points_of_an_eye() -> None:
    """The points are those of the eye, in pixels."""
    row = next(rows_of(result(PLAIN)))
    for name, expected in {
        "iris_x_px": 60, "iris_y_px": 50, "iris_radius_px": 5, "eyeball_x_px": 60, "eyeball_y_px": 51,
        "eyeball_radius_px": 17, "nasal_x_px": 40, "nasal_y_px": 50, "temporal_x_px": 80, "temporal_y_px": 50,
        "face_left_px": 1, "face_top_px": 2, "face_width_px": 3, "face_height_px": 4,
    }.items():  # fmt: skip
        assert row[name] == pytest.approx(expected), name
    assert row["eye_blink"] is False


def test_a_frame_without_a_face_has_a_row() -> None:
    """Nothing is found in it, and the one row says so: no faces, and only the frame's own values."""
    (row,) = rows_of(result(seconds=None))
    assert {name: value for name, value in row.items() if value is not None} == {
        "frame": 0,
        "name": "000000.jpg",
        "connection": 0,
        "faces": 0,
        "finder": "mesh",
    }


def test_a_gaze_has_a_word() -> None:
    """What goes furthest beyond its threshold has the say; the thresholds can be set, and are angles above 0."""
    words = GazeWords(aside_deg=12, upright_deg=10)
    for (yaw, pitch), word in {
        (0, 0): "centre", (11.9, -9.9): "centre", (12.1, 0): "right", (-13, 5): "left", (5, 11): "up",
        (14, -30): "down", (-40, 11): "left",
    }.items():  # fmt: skip
        assert words.direction(Gaze(np.radians(pitch), np.radians(yaw))) == word, (yaw, pitch)
    assert [words.movement(speed) for speed in (None, 10.0, 51.0)] == [None, "fixation", "saccade"]
    row = next(rows_of(result(TURNED)))
    assert (row["gaze_word"], row["gaze_movement"]) == ("right", "saccade")
    wide = GazeWords(aside_deg=30, saccade_deg_s=100)
    row = next(rows_of(result(TURNED), wide))
    assert (row["gaze_word"], row["gaze_movement"]) == ("centre", "fixation")
    for wrong in ({"aside_deg": 0}, {"upright_deg": -1}, {"saccade_deg_s": float("nan")}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            GazeWords(**wrong)


def test_movements_have_a_table_of_their_own(tmp_path: Path) -> None:
    """Each fixation and saccade of each face is a row; blinks and faces that nobody follows are left out."""
    path = tmp_path / "movements.csv"
    with MovementTable(path) as table:
        for index in range(60):
            looks = Face(Box(10, 20, 60, 70), (eye("left", 60, yaw_deg=20 if index >= 30 else 0),), id=3)
            blinks = replace(looks, eyes=(replace(looks.eyes[0], blink=True),), id=4)
            table.write(result(looks, blinks, PLAIN, index=index, seconds=index / 30))
        table.write(result(looks, seconds=None))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["face_id"], row["movement"], float(row["yaw_deg"])) for row in rows] == [
        ("3", "fixation", 0),
        ("3", "saccade", 20),
        ("3", "fixation", 20),
    ]
    assert float(rows[1]["amplitude_deg"]) == 20
    assert float(rows[1]["peak_speed_deg_s"]) == pytest.approx(600)
    assert float(rows[0]["duration_seconds"]) == pytest.approx(29 / 30, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_values_are_of_their_kind(name: str) -> None:
    """Each column holds what it says it holds, and has a line about it."""
    (column,) = [column for column in COLUMNS if column.name == name]
    kinds = {"text": str, "integer": int, "number": float, "flag": bool}
    value = next(rows_of(result(TURNED)))[name]
    assert type(value) is kinds[column.kind]
    assert column.about


def test_the_documentation_lists_the_columns() -> None:
    """docs/gaze-table.md has exactly the columns that there are, in their order, with their kinds and what they say."""
    page = (Path(__file__).parents[2] / "docs" / "gaze-table.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", page, flags=re.MULTILINE)
    assert listed == [(column.name, column.kind, column.about) for column in COLUMNS]


# ---- files ---------------------------------------------------------------------------------------------------------

RESULTS = [result(TURNED), result(index=1, seconds=1 / 3), result(PLAIN, index=2)]


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Read a CSV table back, empty cells as None."""
    with path.open(newline="") as file:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines table back."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Read a Parquet table back."""
    rows: list[dict[str, Any]] = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    return rows


FORMATS = [
    pytest.param(".csv", read_csv, id="csv"),
    pytest.param(".jsonl", read_jsonl, id="jsonl"),
    pytest.param(".parquet", read_parquet, id="parquet"),
]


@pytest.mark.parametrize(("suffix", "read"), FORMATS)
def test_tables_hold_the_rows(suffix: str, read: Callable[[Path], list[dict[str, Any]]], tmp_path: Path) -> None:
    """Every format gives back the same rows, and no other file is left behind."""
    path = tmp_path / f"gaze{suffix}"
    with open_table(path) as table:
        for each in RESULTS:
            table.write(each)
    rows = read(path)
    expected = [row for each in RESULTS for row in rows_of(each)]
    assert [list(row) for row in rows] == [NAMES] * 4
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            came = row[name]
            if isinstance(value, float):
                assert float(came) == pytest.approx(value, abs=1e-4)
            else:
                assert came == value or (suffix == ".csv" and came == str(value)), name
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("suffix", "read"), FORMATS)
def test_a_table_survives_an_interruption(
    suffix: str, read: Callable[[Path], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A table whose making was broken off holds every row until then, and a second close changes nothing."""
    with pytest.raises(KeyboardInterrupt), open_table(tmp_path / f"gaze{suffix}") as table:  # noqa: PT012
        for index in range(20):
            table.write(result(TURNED, index=index))
        raise KeyboardInterrupt
    table.close()
    assert [int(row["frame"]) for row in read(tmp_path / f"gaze{suffix}")] == [index // 2 for index in range(40)]


def test_parquet_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long table does not gather in memory: its rows are in several groups, in order."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("onepass.gaze.show.tables._ROWS_AT_ONCE", 4)
    with ParquetTable(tmp_path / "a.parquet") as table:
        for index in range(5):
            table.write(result(TURNED, index=index))
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    assert [row["frame"] for row in read_parquet(tmp_path / "a.parquet")] == [index // 2 for index in range(10)]


def test_columns_of_parquet_are_typed_and_explained(tmp_path: Path) -> None:
    """A Parquet table of no rows still says what its columns are."""
    parquet = pytest.importorskip("pyarrow.parquet")
    with ParquetTable(tmp_path / "a.parquet"):
        pass
    schema = parquet.read_schema(tmp_path / "a.parquet")
    assert schema.names == NAMES
    assert [str(schema.field(name).type) for name in ("frame", "name", "seconds", "eye_blink")] == [
        "int64", "string", "double", "bool",
    ]  # fmt: skip
    assert schema.field("eye").metadata[b"about"].startswith(b"left or right")


def test_a_table_on_standard_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The name - writes to standard output, row by row, and leaves it open."""
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream))
    monkeypatch.chdir(tmp_path)
    with TextTable("-", jsonl=True) as table:
        table.write(RESULTS[0])
        assert stream.getvalue().count(b"\n") == 2
    assert not stream.closed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
def test_standard_output_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has gone is a broken pipe from the first line on; a full disk is an error of standard output."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=raw))
        with pytest.raises(BrokenPipeError):
            TextTable("-")
    with Path("/dev/null").open("rb", buffering=0) as raw:  # not open for writing
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=raw))
        with pytest.raises(MediaError, match=r"^cannot write standard output: \S.*(?<!kept)$"):
            TextTable("-")


_FILL = """
import resource, signal, sys
sys.dont_write_bytecode = True  # the limit holds for compiled modules too, which it would cut off
sys.path.insert(0, sys.argv[2])
from onepass import MediaError
from onepass.gaze import open_table
from onepass.gaze.show import tables
from tests.gaze.test_tables import TURNED, result
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
tables._ROWS_AT_ONCE = 200
try:
    with open_table(sys.argv[1]) as table:
        for index in range(100_000):
            table.write(result(TURNED, index=index))
except MediaError as error:
    print(error)
"""


def fill_the_disk(path: Path) -> str:
    """Write a table until there is no more room, in a process of its own, and return what it said."""
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", _FILL, str(path), str(root)]
    result = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return result.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
@pytest.mark.parametrize(("suffix", "read"), FORMATS[:2])
def test_a_full_disk_leaves_whole_frames(
    suffix: str, read: Callable[[Path], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """When no more fits, the error says after how many rows, and the table ends with a whole frame."""
    path = tmp_path / f"gaze{suffix}"
    message = fill_the_disk(path)
    rows = read(path)
    assert f"gaze{suffix}: File too large; the table ends after {len(rows)} rows" in message
    assert len(rows) >= 4
    assert len(rows) % 2 == 0
    assert all(row["temporal_y_px"] is not None for row in rows)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on the size of files")
def test_a_full_disk_leaves_no_half_parquet(tmp_path: Path) -> None:
    """Parquet cannot be read without its end, so nothing is left that looks like a table."""
    pytest.importorskip("pyarrow")
    assert "gaze.parquet: Error" in fill_the_disk(tmp_path / "gaze.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("suffix", "read"), FORMATS)
def test_a_table_without_a_row_takes_no_place(
    suffix: str, read: Callable[[Path], list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full before the first row, the table of an earlier run stays as it was."""
    path = tmp_path / f"gaze{suffix}"
    with open_table(path) as table:
        table.write(RESULTS[0])
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said = "the table is lost" if suffix == ".parquet" else "an existing file is kept"
    with (  # noqa: PT012
        pytest.raises(MediaError, match=rf"cannot write .*gaze{suffix}: No space left on device.* {said}"),
        open_table(path) as table,
    ):
        monkeypatch.setattr(tables, "_write_all", full)
        monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 1)
        monkeypatch.setattr(table, "_batch_of", full, raising=False)
        table.write(RESULTS[1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
def test_a_table_into_a_pipe_grows_as_it_is_read(tmp_path: Path) -> None:
    """Who reads a named pipe gets each row when it is written; when they have enough, that is a broken pipe."""
    pipe = tmp_path / "gaze.jsonl"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_table(pipe) as table:
        table.write(RESULTS[0])
        assert os.read(descriptor, 1 << 16).count(b"\n") == 2
        os.close(descriptor)
        with pytest.raises(BrokenPipeError):
            table.write(RESULTS[1])
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0.jpg", "+1.png", "-1.png", "@sum(a1).png", "\tx.png", "a=b.png"])
def test_a_name_is_no_formula(name: str, tmp_path: Path) -> None:
    """A file's name that a spreadsheet would compute has an apostrophe before it in CSV, and numbers have none."""
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 0, -1.5, name)
    for suffix in (".csv", ".jsonl"):
        with open_table(tmp_path / f"gaze{suffix}") as table:
            table.write(StreamResult(frame, ()))
    (row,) = read_csv(tmp_path / "gaze.csv")
    assert (row["name"], row["seconds"]) == (name if name[0] == "a" else f"'{name}", "-1.5")
    assert read_jsonl(tmp_path / "gaze.jsonl")[0]["name"] == name


@pytest.mark.parametrize(("suffix", "read"), FORMATS)
def test_a_name_that_is_no_text(suffix: str, read: Callable[[Path], list[dict[str, Any]]], tmp_path: Path) -> None:
    """A file's name in no encoding is written with its odd bytes as escapes; the table is UTF-8."""
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 0, None, b"caf\xe9.jpg".decode(errors="surrogateescape"))
    with open_table(tmp_path / f"gaze{suffix}") as table:
        table.write(StreamResult(frame, ()))
    assert read(tmp_path / f"gaze{suffix}")[0]["name"] == "caf\\udce9.jpg"


def test_a_parquet_that_cannot_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyArrow cannot open its file, the error has the name that was asked for, and nothing is left behind."""
    parquet = pytest.importorskip("pyarrow.parquet")

    def refuse(path: Path, *_: object) -> None:
        raise OSError(errno.EMFILE, f"[Errno 24] Failed to open local file '{path}'. Detail: Too many open files")

    monkeypatch.setattr(parquet, "ParquetWriter", refuse)
    with pytest.raises(MediaError, match=rf"Failed to open local file '{tmp_path}/gaze.parquet'"):
        open_table(tmp_path / "gaze.parquet")
    assert list(tmp_path.iterdir()) == []


def test_where_no_table_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown endings, missing folders and a missing PyArrow each say what to do."""
    with pytest.raises(InputError, match=r"unknown table format .* ends in \.csv, \.jsonl, \.parquet"):
        open_table(tmp_path / "gaze.xlsx")
    for name in ("gaze.csv", "gaze.jsonl", "gaze.parquet"):
        with pytest.raises(MediaError, match=r"cannot write .*gaze\..*: .*No such file"):
            open_table(tmp_path / "nowhere" / name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pip install 'pyarrow>="):
        open_table(tmp_path / "gaze.parquet")
