"""What is killed between every two of its file operations, in a process of its own, which forks.

``python -m tests.kill_cases FOLDER [NAME …]`` does them in an empty folder, one after the other.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import onepass
from onepass import BuildOptions, OnnxGraph, Outputs, load  # noqa: F401 - imported before the process forks
from onepass.batch import read_manifest
from onepass.batch._folder import begin, finish
from onepass.batch._inputs import find_inputs
from onepass.batch._job import Job
from onepass.batch._open import open_work
from onepass.batch._part import finished
from onepass.batch._work import do_part
from onepass.builder._cache import cached
from onepass.cli import cli
from onepass.engine import cache_entries, plan_from_graph, read_sidecar
from onepass.gaze.fetch import weights
from onepass.gaze.fetch._download import download
from onepass.gaze.screen.recording import Recording
from onepass.gaze.show.tables import open_table
from onepass.graph.weights import in_memory
from onepass.media import Frame, VideoSink, write_picture
from onepass.source.frameworks.gazeml import ElgSize
from onepass.writers import write_outputs
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.gaze.test_tables import TURNED, result
from tests.kills import Work, kill_everywhere
from tests.source.bundles import elg_variables, write_gazeml
from tests.source.networks import two_heads
from tests.webserver import serve
from tests.zoo import BY_NAME

_THREE = BY_NAME["three heads"].graph
_NETWORK = "ELG_i20x12_f20x12_n2_m1"


def _bytes(name: str) -> Callable[[Path], Any]:
    """Return what looks at one file."""
    return lambda folder: (folder / name).read_bytes() if (folder / name).exists() else None


def _command(*words: str) -> Callable[[Path], None]:
    """Return what runs a command in the folder, in this process, and prints nothing."""

    def run(folder: Path) -> None:
        os.chdir(folder)
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the child ends
        cli.main(list(words), standalone_mode=False)

    return run


# ---- models ----------------------------------------------------------------------------------------------------------


def _weights(folder: Path, value: float) -> OnnxGraph:
    """Return a model whose weights lie in another folder, so that they move when it is saved."""
    folder.mkdir(exist_ok=True)
    graph = two_heads(folder / "m.onnx")
    proto = OnnxGraph.load(graph).proto
    proto.doc_string = f"weights times {value}"
    import onnx

    for weight in proto.graph.initializer:
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * value, weight.name))
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, size_threshold=0, location="w")
    return OnnxGraph.load(folder / "m.onnx")


def _save(value: float) -> Callable[[Path], None]:
    return lambda folder: _weights(folder / f"from-{value}", value).save(folder / "out.onnx")


def _model(folder: Path) -> Any:
    graph = OnnxGraph.load(folder / "out.onnx")
    return in_memory(graph.proto, graph.folder).SerializeToString()


def _models(folder: Path) -> None:
    two_heads(folder / "in.onnx")
    two_heads(folder / "out.onnx", opset=11)


def _models_and(name: str) -> Callable[[Path], None]:
    """Return what puts two models into a folder, and an old result."""

    def prepare(folder: Path) -> None:
        _models(folder)
        (folder / name).write_text("old")

    return prepare


# ---- engines ---------------------------------------------------------------------------------------------------------


def _build(batch: int) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        with installed(make_tensorrt("11.4.0")):
            plan = onepass.build(_THREE, folder / "a.engine", batch=batch, timing_cache=folder / "timing")
        plan.engine_bytes()

    return build


def _engine(folder: Path) -> Any:
    plan = read_sidecar(folder / "a.engine")
    assert plan is not None
    return plan.engine_bytes(), plan.options


def _cache(folder: Path) -> None:
    def build() -> Any:
        with installed(make_tensorrt("11.4.0")):
            return plan_from_graph(_THREE, BuildOptions(batch=2))

    cached("0" * 64, build, folder)


def _damaged_cache(folder: Path) -> None:
    _cache(folder)
    (folder / ("0" * 64) / "model.engine.json").write_text("{")


# ---- outputs ---------------------------------------------------------------------------------------------------------


def _write(value: int, name: str) -> Callable[[Path], Any]:
    outputs = Outputs({key: np.full(3, value) for key in ("y", "Y", "con") + (("old",) if value == 1 else ())})
    return lambda folder: write_outputs(outputs, folder / name)


def _outputs(folder: Path) -> Any:
    """What the index of a folder of outputs leads to."""
    index = json.loads((folder / "out" / "outputs.json").read_text())
    return {name: np.load(folder / "out" / entry["file"]).tolist() for name, entry in index.items()}


def _report(folder: Path) -> Any:
    """A report has times in it; it is the old one, or a new one to its end."""
    text = (folder / "report.html").read_text()
    return text if text == "old" else text.rstrip()[-7:]


# ---- batches ---------------------------------------------------------------------------------------------------------


def _rows(folder: Path) -> None:
    two_heads(folder / "m.onnx")
    [spec] = OnnxGraph.load(folder / "m.onnx").signature.inputs
    row = [size if isinstance(size, int) else 1 for size in spec.shape or ()][1:]
    np.save(folder / "in.npy", np.ones((5, *row), np.float32))


def _batch(folder: Path) -> None:
    """Do what `onepass.batch.run` does, in this process."""
    job, found, out = Job(onepass.ModelSpec(folder / "m.onnx")), find_inputs(folder / "in.npy"), folder / "out"
    out.mkdir(exist_ok=True)
    noted, done = begin(out, job.identity(), resume=True)
    if done is not None:
        return
    work = open_work(job, workers=1)
    records = [
        finished(out, part) or do_part(work, out, part, poison={}, careful=False, stop=False, told=lambda *_: None)
        for part in found.parts(2)
    ]
    finish(out, noted, records)


def _batch_files(folder: Path) -> Any:
    """What a reader finds by the manifest, before it is there nothing."""
    if not (folder / "out" / "_SUCCESS").exists():
        return None
    manifest = read_manifest(folder / "out")
    manifest.verify()
    return [Path(file).read_bytes() for file in manifest.files]


# ---- gaze ------------------------------------------------------------------------------------------------------------


def _table(name: str) -> Work:
    def written(frames: int) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            with open_table(folder / name) as table:
                for index in range(frames):
                    table.write(result(TURNED, index=index))

        return write

    return Work(written(1), written(3), _bytes(name))


def _pictures(grey: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_picture(folder / "a.png", np.full((8, 8, 3), grey, np.uint8))

    return write


def _video(grey: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        picture = np.full((32, 32, 3), grey, np.uint8)
        with VideoSink(folder / "a.mp4", fps=10) as sink:
            for index in range(3):
                sink.write(Frame(picture, index, None, "a"), picture)

    return write


def _record(value: float) -> Callable[[Path], None]:
    from onepass.gaze import Gaze
    from onepass.gaze.screen.sample import GazeSample

    recording = Recording((GazeSample(Gaze(value, value), None, None, None, None),), np.full((1, 2), value))
    return lambda folder: recording.save(folder / "a.csv")


def _archive(folder: Path) -> None:
    network = write_gazeml(folder / "source" / _NETWORK, elg_variables(ElgSize(20, 12, 1, 2, 1)))
    with zipfile.ZipFile(folder / "brought.zip", "w") as archive:
        for path in sorted(network.rglob("*")):
            archive.write(path, path.relative_to(network.parent))


def _fetch(folder: Path) -> None:
    os.environ["ONEPASS_CACHE"] = str(folder / "cache")
    # What a conversion does to files is seen by itself, and takes longer.
    vars(weights).update(
        convert=lambda source, target: _THREE.save(target),
        GAZEML_WEIGHTS={_NETWORK: "http://127.0.0.1:9/none.zip"},
    )
    weights.fetch(_NETWORK, folder / "brought.zip")


_SITE = b"0123456789" * 20_000

CASES: Mapping[str, Work] = {
    "save": Work(_save(1.0), _save(2.0), _model),
    "convert": Work(_models, lambda folder: onepass.convert(folder / "in.onnx", folder / "out.onnx"), _model),
    "build": Work(_build(1), _build(2), _engine),
    "cache": Work(lambda folder: None, _cache, lambda folder: [entry.key for entry in cache_entries(folder)]),
    "damaged cache": Work(_damaged_cache, _cache, lambda folder: [entry.key for entry in cache_entries(folder)]),
    "npz": Work(_write(1, "out.npz"), _write(2, "out.npz"), _bytes("out.npz")),
    "json": Work(_write(1, "out.json"), _write(2, "out.json"), _bytes("out.json")),
    "folder": Work(_write(1, "out"), _write(2, "out"), _outputs),
    "run": Work(
        _models_and("out.json"),
        _command("run", "in.onnx", "--random", "-o", "out.json"),
        _bytes("out.json"),
    ),
    "compare": Work(
        _models_and("report.html"),
        _command("compare", "in.onnx", "out.onnx", "--html", "report.html"),
        _report,
    ),
    "batch": Work(_rows, _batch, _batch_files),
    "csv": _table("a.csv"),
    "jsonl": _table("a.jsonl"),
    "parquet": _table("a.parquet"),
    "picture": Work(_pictures(10), _pictures(20), _bytes("a.png")),
    "video": Work(_video(10), _video(20), _bytes("a.mp4")),
    "recording": Work(_record(0.1), _record(0.2), _bytes("a.csv")),
    "fetch": Work(_archive, _fetch, _bytes(f"cache/gazeml-weights/{_NETWORK}.onnx")),
    "download": Work(lambda folder: None, lambda folder: download(_url(), folder / "a.zip"), _bytes("a.zip")),
}


def _url() -> str:
    return os.environ["ONEPASS_TEST_URL"]


def main(folder: Path, names: Sequence[str]) -> None:
    """Do cases one after the other, and print as JSON how many operations each has, or what went wrong."""
    found: dict[str, int | str] = {}
    with serve(_SITE, "a.zip") as site:
        os.environ["ONEPASS_TEST_URL"] = site.url
        for name in names or CASES:
            (folder / name).mkdir()
            try:
                found[name] = kill_everywhere(CASES[name], folder / name)
            except Exception as error:  # noqa: BLE001 - told with its name
                found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))  # noqa: T201 - what was asked for


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
