"""Pictures and videos of faces as a batch: the rows that a gaze table has."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import onepass.batch
from onepass.batch._inputs import find_inputs
from onepass.batch._job import Job
from onepass.batch._open import open_work
from onepass.batch._work import do_part
from onepass.gaze import GazeEstimator, GazeTracker, GazeWords
from onepass.gaze.model import model_spec
from onepass.gaze.show.tables import table_rows
from onepass.media import VideoSink, open_source, write_picture
from onepass.media.frames import Frame
from tests.batch.rows import read

_FRAMES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of a face that moves, one of which is cut off, a picture of it, and files that are neither."""
    folder = tmp_path_factory.mktemp("faces")
    astronaut: Any = import_module("skimage.data").astronaut()
    face = np.ascontiguousarray(astronaut[0:240, 140:380])
    write_picture(folder / "face.png", face)
    for name in ("a.mp4", "b.mkv"):
        with VideoSink(folder / name, fps=10) as sink:
            for index in range(_FRAMES):
                sink.write(Frame(face, index, None, ""), np.roll(face, index, axis=1))
    whole = (folder / "b.mkv").read_bytes()
    (folder / "b.mkv").write_bytes(whole[: len(whole) - 2000])
    (folder / "empty.jpg").touch()
    (folder / "torn.mp4").write_bytes((folder / "a.mp4").read_bytes()[:900])
    return folder


def _expected(path: Path) -> list[dict[str, Any]]:
    """What `onepass gaze` writes of a file."""
    with GazeEstimator.from_default("small") as estimator, open_source(path) as source:
        stream = GazeTracker(estimator).stream if source.sequence else estimator.stream
        with closing(stream(source, newest=False)) as results:
            return [row for result in results for row in table_rows(result, GazeWords())]


def test_pictures_and_videos(folder: Path, tmp_path: Path) -> None:
    """Files have the rows of a gaze table, faces in videos followed; one that is damaged, or ends early, its error."""
    made = onepass.batch.run("small", folder, tmp_path / "out", gaze=True, workers=2)
    found = read(made)
    names = ["a.mp4", "b.mkv", "empty.jpg", "face.png", "torn.mp4"]
    assert [part.inputs for part in made.parts] == [1] * len(names), "a video is a task of its own"
    by_name: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for row in found.to_pylist():
        by_name[row.pop("key")].append(row)
    for name in ("a.mp4", "b.mkv", "face.png"):
        rows = [row for row in by_name[name] if row["error"] is None]
        assert [{"error": None, **row} for row in _expected(folder / name)] == rows, name
    assert len({row["frame"] for row in by_name["a.mp4"]}) == _FRAMES
    assert {row["face_id"] for row in by_name["a.mp4"]} == {0}
    errors = {name: [row["error"] for row in rows if row["error"]] for name, rows in by_name.items()}
    assert errors["a.mp4"] == errors["face.png"] == []
    assert "b.mkv" in errors["b.mkv"][0], "it ends early, which its last row says"
    assert "empty.jpg (0 bytes) is neither" in errors["empty.jpg"][0]
    assert "torn.mp4" in errors["torn.mp4"][0]
    assert made.errors == 3


def test_row_by_row(folder: Path, tmp_path: Path) -> None:
    """Done file by file, a part has the same rows; a file to leave out has its error alone."""
    files = [folder / name for name in ("a.mp4", "empty.jpg", "face.png")]
    [part] = find_inputs(files, gaze=True).parts(3)
    work = open_work(Job(model_spec("small"), gaze=True), workers=1)
    (tmp_path / "_parts").mkdir()
    tables = []
    for careful in (False, True):
        poison = {0: "it was too much"} if careful else {}
        do_part(work, tmp_path, part, poison=poison, careful=careful, stop=False, told=lambda *_: None)
        tables.append(pq.read_table(tmp_path / part.file).to_pylist())
    [plain, careful_] = tables
    assert [row["error"] for row in careful_ if row["key"] == str(files[0])] == ["it was too much"]
    others = [[row for row in rows if row["key"] != str(files[0])] for rows in (plain, careful_)]
    assert others[0] == others[1]
