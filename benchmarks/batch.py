"""Batch jobs: compared with a plain loop, on Ray, on videos, and the memory for a million rows.

Each job is a separate process, timed from start to end; jobs take turns. ``ROWS`` and ``VIDEOS`` in the environment
make the benchmark smaller: ``ROWS=300 VIDEOS=4 python -m benchmarks batch``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import onepass
from benchmarks.report import Row
from onepass.batch import read_manifest
from onepass.gaze.model import model_path
from onepass.media import VideoSink, read_picture, write_picture
from onepass.media.frames import Frame
from onepass.media.tensors import tensor_from_picture

_ROWS, _VIDEOS = int(os.environ.get("ROWS", "3000")), int(os.environ.get("VIDEOS", "20"))
_FRAMES, _BATCH, _ROUNDS = 60, 32, 3
_SMALL = """<ir_version: 9, opset_import: ["" : 17]>
g (float[N, 16] x) => (float[N, 16] scaled, float[N] total) <int64[1] axis = {1}> {
    scaled = Neg (x)
    total = ReduceSum <keepdims = 0> (x, axis)
}"""


def measure() -> list[Row]:
    """Return one row per job."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return [*_pictures(folder), *_videos(folder), *_memory(folder)]


# ---- pictures, beside a plain loop -----------------------------------------------------------------------------------


def plain_loop(model: str, pictures: str, out: str) -> None:
    """Do what a simple script does: read, run, collect, write."""
    paths = sorted(Path(pictures).iterdir())
    with onepass.load(model) as session:
        spec = session.signature.inputs[0]
        writer: Any = None
        for at in range(0, len(paths), _BATCH):
            some = paths[at : at + _BATCH]
            outputs = session(np.concatenate([tensor_from_picture(read_picture(path), spec) for path in some]))
            columns = {name: list(array.reshape(len(some), -1)) for name, array in outputs.items()}
            table = pa.table({"key": [path.name for path in some], **columns})
            writer = writer or pq.ParquetWriter(out, table.schema)
            writer.write_table(table)
        writer.close()


def _pictures(folder: Path) -> list[Row]:
    rng = np.random.default_rng(0)
    pictures, model = folder / "pictures", str(model_path("default"))
    pictures.mkdir()
    for index in range(_ROWS):
        write_picture(pictures / f"{index:06}.png", rng.integers(0, 255, (72, 120, 3), np.uint8))

    def loop(out: Path) -> list[str]:
        code = "import sys; from benchmarks.batch import plain_loop; plain_loop(*sys.argv[1:])"
        return [sys.executable, "-c", code, model, str(pictures), str(out)]

    ways: dict[str, Callable[[Path], list[str]]] = {
        "plain loop": loop,
        "onepass batch": lambda out: _command(model, pictures, out),
        "onepass batch --workers 2": lambda out: _command(model, pictures, out, "--workers", "2"),
    }
    if find_spec("ray") is not None and (os.cpu_count() or 1) > 1:
        ways["onepass batch --engine ray"] = lambda out: _command(model, pictures, out, "--engine", "ray")
    seconds = _in_turn(folder, ways)
    _check(folder, model, pictures)
    return _compared(f"{_ROWS} pictures", seconds, _ROWS)


def _check(folder: Path, model: str, pictures: Path) -> None:
    """Compare every output of every row with direct calls in the same batches."""
    paths = sorted(pictures.iterdir())
    for out in folder.glob("onepass*"):
        manifest = read_manifest(out)
        manifest.verify()
        table = pq.read_table(manifest.files)
        assert table["key"].to_pylist() == [path.name for path in paths]
        assert table["error"].null_count == len(paths)
        with onepass.load(model) as session:
            spec = session.signature.inputs[0]
            for name in session.signature.output_names:
                found = table[name].combine_chunks().to_numpy_ndarray()
                for at in range(0, len(paths), 512):
                    feeds = np.concatenate([tensor_from_picture(read_picture(p), spec) for p in paths[at : at + 512]])
                    expected = session(feeds, outputs=[name])[name]
                    np.testing.assert_allclose(found[at : at + 512], expected, rtol=1e-4, atol=1e-4)


# ---- videos ----------------------------------------------------------------------------------------------------------


def _videos(folder: Path) -> list[Row]:
    if find_spec("skimage") is None or find_spec("av") is None:
        return []  # no face, or no video
    clips = folder / "clips"
    clips.mkdir()
    astronaut: Any = import_module("skimage.data").astronaut()
    face = np.ascontiguousarray(astronaut[0:240, 100:420])
    for index in range(_VIDEOS):
        with VideoSink(clips / f"{index:02}.mp4", fps=30) as sink:
            for frame in range(_FRAMES):
                sink.write(Frame(face, frame, None, ""), np.roll(face, frame + index, axis=1))
    ways: dict[str, Callable[[Path], list[str]]] = {
        "onepass batch --gaze": lambda out: _command("default", clips, out, "--gaze"),
        "onepass batch --gaze --workers 2": lambda out: _command("default", clips, out, "--gaze", "--workers", "2"),
    }
    return _compared(f"{_VIDEOS} videos of {_FRAMES} frames", _in_turn(folder, ways), _VIDEOS * _FRAMES)


# ---- memory ----------------------------------------------------------------------------------------------------------


def _memory(folder: Path) -> list[Row]:
    import onnx

    onnx.save(onnx.parser.parse_model(_SMALL), folder / "small.onnx")
    rows = []
    for count in (_ROWS * 100 // 3, _ROWS * 1000 // 3):
        table, out = folder / f"{count}.parquet", folder / f"rows-{count}"
        values = pa.array(np.random.default_rng(0).standard_normal(count * 16).astype(np.float32))
        column = pa.FixedSizeListArray.from_arrays(values, 16)
        pq.write_table(pa.table({"x": column}), table, row_group_size=20_000)
        del values, column
        seconds, peak = _peak(_command(folder / "small.onnx", table, out, "--batch", "256"))
        manifest = read_manifest(out)
        assert (manifest.rows, manifest.errors) == (count, 0)
        rows.append(_row(f"{count} rows of 16 numbers", "onepass batch", seconds, count, 1.0, round(peak / 1e6)))
        for file in (table, *map(Path, manifest.files)):
            file.unlink()
    return rows


def _peak(command: Sequence[str]) -> tuple[float, int]:
    """Return a command's time, and the peak memory of it and its child processes together."""
    begin, most = time.perf_counter(), {}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            threads = Path(f"/proc/{process.pid}/task").iterdir()  # each has the processes that it started
            inner = [word for thread in threads for word in (thread / "children").read_text().split()]
            for each in (str(process.pid), *inner):
                lines = Path(f"/proc/{each}/status").read_text().splitlines()
                most[each] = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
        except (OSError, StopIteration):  # one has just ended
            pass
        time.sleep(0.1)
    assert process.returncode == 0
    return time.perf_counter() - begin, sum(most.values())


# ---- all -------------------------------------------------------------------------------------------------------------


def _command(model: str | Path, inputs: Path, out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "onepass", "batch", str(model), str(inputs), "-o", str(out), *words]


def _in_turn(folder: Path, ways: dict[str, Callable[[Path], list[str]]]) -> dict[str, list[float]]:
    """Time the jobs in turn, several times; the last results are kept."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(_ROUNDS):
        for name, command in ways.items():
            out = folder / f"{name.replace(' ', '-')}-{number}"
            begin = time.perf_counter()
            subprocess.run(command(out), check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begin)
            if out.is_dir() and number < _ROUNDS - 1:
                for path in sorted(out.rglob("*"), reverse=True):
                    path.unlink()
                out.rmdir()
    return seconds


def _compared(what: str, seconds: dict[str, list[float]], count: int) -> list[Row]:
    """Return one row per job, with its speed relative to the first: the median over all rounds."""
    first = next(iter(seconds.values()))
    return [
        _row(what, name, median(each), count, median(a / b for a, b in zip(first, each, strict=True)), "")
        for name, each in seconds.items()
    ]


def _row(what: str, way: str, seconds: float, count: int, ratio: float, peak: int | str) -> Row:
    rate = round(count / seconds)
    return {"what": what, "by": way, "seconds": round(seconds, 1), "a second": rate, "speed over the first":
            round(ratio, 2), "peak MB": peak}  # fmt: skip
