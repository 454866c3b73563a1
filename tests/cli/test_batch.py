"""``onepass batch``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from onepass.batch import Progress, read_manifest
from onepass.cli._progress import batch_bar
from tests.batch.rows import arrays, read
from tests.cli.shell import Shell
from tests.zoo import BY_NAME


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, rows for it, and a module of the user's."""
    folder = tmp_path_factory.mktemp("batch")
    BY_NAME["three heads"].graph.save(folder / "heads.onnx")
    np.savez(folder / "in.npz", x=np.ones((5, 4), np.float32))
    rows = [{"x": [1, 2, 3, 4]}, {"x": [1, 2, 3]}]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.py").write_text("def negative(row):\n    return -row['x']\n")
    return folder


def test_a_batch(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    """Rows in, Parquet out, and a line for people; a function of the user's is found in the working directory."""
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    printed = shell("batch", "heads.onnx", "in.npz", "-o", out, "--outputs", "ant", "--preprocess", "mine:negative")
    assert printed == f"5 inputs in 1 file\nwritten to {out}\n"
    found = read(read_manifest(tmp_path / "out"))
    assert found.schema.names == ["key", "error", "ant"]
    assert arrays(found, "ant") == [-4] * 5


def test_errors(folder: Path, tmp_path: Path, shell: Shell) -> None:
    """If rows have errors, the command says how many, shows the first and exits with 1; as JSON, it says how many."""
    out = tmp_path / "out"
    words = ("batch", folder / "heads.onnx", folder / "in.jsonl", "-o", out)
    status, printed, said = shell.run(*words, "--rows-a-part", 1)
    assert (status, printed) == (1, f"2 inputs, 1 with an error, in 2 files\nwritten to {out}\n")
    assert "onepass: first error, for key '1': input 'x'" in said
    assert said.endswith("; the column 'error' has all of them\n")
    status, printed, _ = shell.run(*words, "--resume", "--json")
    assert (status, json.loads(printed)["errors"]) == (1, 1)
    assert (
        shell.fails(*words)
        == f"onepass: {out} already contains a batch; continue it with --resume, or use another folder\n"
    )


def test_errors_name_options(folder: Path, tmp_path: Path, shell: Shell) -> None:
    """The first error is in the words of the command line, not in those of the library."""
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float64))
    status, _, said = shell.run("batch", folder / "heads.onnx", tmp_path / "x.npy", "-o", tmp_path / "out")
    assert status == 1
    assert "got float64" in said
    assert "--preprocess" in said
    assert "preprocess=" not in said


def test_a_column_needs_an_input(shell: Shell) -> None:
    """What is no INPUT=COLUMN is refused by its form."""
    assert "expected INPUT=COLUMN" in shell.fails("batch", "m", "in", "-o", "out", "--column", "jpeg")


def test_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, a line a minute says how far the batch is, how fast, and how long it will take."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with batch_bar("out") as told:
        for now, done in ((1.0, 10), (59.0, 590), (60.0, 610), (61.0, 620), (121.0, 1220)):  # noqa: B007
            told(Progress(done, 3010, 2, 10))
    assert capsys.readouterr().err == (
        "out: 610 of 3010, 10.0 per second, 2 with an error, 4 minutes left\n"
        "out: 1220 of 3010, 10.0 per second, 2 with an error, 3 minutes left\n"
    )
