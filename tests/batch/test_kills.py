"""Processes that are killed, stand still or run out of disk: nothing is lost, nothing is there twice, nothing loops."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass.batch
from onepass import BackendError, InputError
from onepass.batch import read_manifest
from tests.batch.rows import ROWS, assert_direct, read
from tests.zoo import model

_FUNCTIONS = "tests.batch.functions"
_LEAVING = "import os, sys\n'onepass.batch._child' in sys.orig_argv and os._exit(7)"
_ROOT = Path(__file__).parent.parent.parent


def _command(heads: Path, table: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "onepass", "batch", str(heads), str(table), "-o", str(out), "--rows-a-part", "10",
         "--preprocess", f"{_FUNCTIONS}:slow", "--resume", *words],
        cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def _children(process: int) -> list[int]:
    """Return the processes that any thread of a process has started."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return [int(word) for thread in threads for word in (thread / "children").read_text().split()]


def _wait_for(what: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
def test_the_command_is_killed(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """However often a batch is killed or interrupted, its workers end too, and in the end every row is there once."""
    out = tmp_path / "out"
    for number, parts in ((signal.SIGKILL, 0), (signal.SIGKILL, 2), (signal.SIGINT, 5)):
        process = _command(heads, table, out)
        _wait_for(lambda parts=parts: (out / "_JOB").exists() and len(list(out.glob("part-*"))) >= parts)
        _wait_for(lambda process=process: _children(process.pid))
        children = _children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        assert (b"--resume continues" in said) == (number == signal.SIGINT)
        _wait_for(lambda children=children: not any(Path(f"/proc/{child}").exists() for child in children), 20)
        with pytest.raises(InputError, match="contains no finished batch"):
            read_manifest(out)
    # A part is whole with its record; the last one's may have been missing yet.
    whole = [out / f"part-{record.stem}.parquet" for record in (out / "_parts").glob("[0-9]*.json")]
    kept = {path.name: path.stat().st_ino for path in whole}
    process = _command(heads, table, out, "--workers", "2")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert printed.decode().startswith(f"{ROWS} inputs in 10 files\n")
    assert len(kept) >= 4
    assert {name: (out / name).stat().st_ino for name in kept} == kept, "what was whole is not made again"
    assert_direct(read(read_manifest(out)), heads, {"x": x})


@pytest.mark.skipif(not Path("/proc").exists(), reason="workers are looked up in /proc")
def test_a_worker_is_killed_from_outside(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """A worker that is killed, once or often, is followed by another, which does what it had not finished."""
    process = _command(heads, table, tmp_path / "out", "--workers", "2")
    for parts in (1, 3):
        _wait_for(lambda parts=parts: len(list((tmp_path / "out").glob("part-*"))) >= parts)
        os.kill(_children(process.pid)[0], signal.SIGKILL)
    assert process.communicate(timeout=60)[0].startswith(b"100 inputs in 10 files")
    assert process.returncode == 0
    assert_direct(read(read_manifest(tmp_path / "out")), heads, {"x": x})


@pytest.mark.skipif(not Path("/proc").exists(), reason="workers are looked up in /proc")
def test_a_worker_is_killed_between_parts(heads: Path, table: Path, x: Any, tmp_path: Path) -> None:
    """A worker that is gone when it is to be told of its next part is followed by another, in the command too."""
    process = _command(heads, table, tmp_path / "out")
    _wait_for(lambda: list((tmp_path / "out").glob("part-*")))
    process.send_signal(signal.SIGSTOP)
    [child] = _children(process.pid)
    done, idle = -1, 0
    while idle < 5:  # it does what it was told, and then waits for what does not come
        before, done = done, len(list((tmp_path / "out").glob("part-*")))
        idle = idle + 1 if done == before else 0
        time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0].startswith(b"100 inputs in 10 files")
    assert process.returncode == 0
    assert_direct(read(read_manifest(tmp_path / "out")), heads, {"x": x})


def test_a_process_that_dies_now_and_then(
    heads: Path, bad_table: Path, x: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row over which a process ended, and another did not, has its outputs."""
    marks = tmp_path / "marks"
    marks.mkdir()
    (marks / "1").touch()
    monkeypatch.setenv("MARKS", str(marks))
    told: list[onepass.batch.Progress] = []
    run = onepass.batch.run(
        heads, bad_table, tmp_path / "out", preprocess=f"{_FUNCTIONS}:killed_once", rows_a_part=50, batch=8,
        progress=told.append,
    )  # fmt: skip
    found = read(run)
    assert not list(marks.iterdir())
    assert found["error"].null_count == ROWS
    assert told[-1].done == ROWS, "what was counted of a part that is done again is taken back"


@pytest.mark.parametrize(("function", "message"), [
    ("killed", r"the process working on this row ended by SIGKILL, 2 times"),
    ("stuck", r"the process working on this row was silent for 6 s and was killed, 2 times"),
])  # fmt: skip
def test_a_row_that_ends_every_process(
    function: str, message: str, heads: Path, bad_table: Path, x: Any, tmp_path: Path
) -> None:
    """A row that kills whatever works on it, or never comes back, becomes a row with an error, after finite tries."""
    made = onepass.batch.run(
        heads, bad_table, tmp_path / "out", preprocess=f"{_FUNCTIONS}:{function}", rows_a_part=50, patience_s=6
    )
    found = read(made)
    assert_direct(found, heads, {"x": x}, but=(42,))
    assert found["error"][42].as_py() == message
    if function == "killed":
        with pytest.raises(InputError, match="row '42': the process working on this row ended by SIGKILL"):
            onepass.batch.run(heads, bad_table, tmp_path / "stop", preprocess=f"{_FUNCTIONS}:killed", on_error="stop")


def test_a_model_that_ends_every_process(
    heads: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where processes end before they have begun a row, the batch ends, after finite tries, and says so."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n'onepass.batch._child' in sys.orig_argv and os._exit(7)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        BackendError, match=r"the process opening the model .*heads\.onnx ended by status 7, before the first row"
    ):
        onepass.batch.run(heads, table, tmp_path / "out")


def test_a_full_disk(tmp_path: Path) -> None:
    """Where a file cannot grow any more, the batch ends with its name, keeps what is finished, and goes on later."""
    out, onnx, rows = tmp_path / "out", tmp_path / "m.onnx", tmp_path / "in.jsonl"
    model("(float[N, L] x) => (float[N, L] y) { y = Neg (x) }").save(onnx)
    lengths = [1] * 10 + list(range(1000, 1010))
    numbers = [np.random.default_rng(length).uniform(size=length).astype(np.float32) for length in lengths]
    rows.write_text("".join(json.dumps({"x": each.tolist()}) + "\n" for each in numbers))
    words = [sys.executable, "-m", "onepass", "batch", str(onnx), str(rows), "-o", str(out), "--resume",
             "--rows-a-part", "10"]  # fmt: skip
    full = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=_ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},  # it writes files
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert full.returncode == 2
    assert full.stderr.endswith(f"onepass: {out / 'part-00001.parquet'}: File too large\n")
    assert f"finished files stay in {out}; --resume continues" in full.stderr
    assert sorted(path.name for path in out.iterdir()) == ["_JOB", "_LOCK", "_parts", "part-00000.parquet"]
    assert subprocess.run(words, capture_output=True, check=False, cwd=_ROOT).returncode == 0
    assert read(read_manifest(out))["y"].to_pylist() == [(-each).tolist() for each in numbers]
