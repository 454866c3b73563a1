"""The cache of engines: never the wrong one, and built once."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import (
    BuildOptions,
    OnnxGraph,
    Plan,
)
from onepass.builder._cache import cache_key, cached
from onepass.engine import (
    cache_entries,
    clear_cache,
    find_flavors,
    plan_from_graph,
    sidecar_path,
)
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.zoo import BY_NAME

_THREE = BY_NAME["three heads"].graph


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


def test_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same build comes from the cache, a damaged entry is built again, and clearing frees all."""
    with installed(make_tensorrt("11.4.0")):
        first = onepass.build(_THREE, tmp_path / "a.engine", batch=2, cache=True)
        second = onepass.build(_THREE, batch=2, cache=True)
        assert first.build_seconds == second.build_seconds
        assert (tmp_path / "a.engine").read_bytes() == second.engine_bytes()
        (entry,) = cache_entries()
        (cache / entry.key / "model.engine").write_bytes(b"damaged")
        assert cache_entries() == []
        assert onepass.build(_THREE, batch=2, cache=True).engine_bytes() == first.engine_bytes()
    (cache / "keep.txt").write_text("not ours")
    assert clear_cache() > 0
    assert [file.name for file in cache.iterdir()] == ["keep.txt"]


def test_cache_key() -> None:
    """Model, options, TensorRT: each makes another key; how measurements are kept does not."""
    with installed(make_tensorrt("10.16.1"), make_tensorrt("rtx-1.7.1")):
        one, two = find_flavors()
    options = BuildOptions(batch=2)
    keys = [cache_key("a", options, one), cache_key("b", options, one), cache_key("a", BuildOptions(batch=3), one),
            cache_key("a", options, two)]  # fmt: skip
    assert len(set(keys)) == 4
    assert cache_key("a", BuildOptions(batch=2, timing_cache=Path("t")), one) == keys[0]


def test_external_weights_are_part_of_the_key(tmp_path: Path) -> None:
    """Other weights beside the same model file give another digest."""
    import onnx

    from onepass.builder._graph import digest_of

    digests = set()
    for index, value in enumerate((1.0, 2.0)):
        folder = tmp_path / str(index)
        folder.mkdir()
        graph = BY_NAME["an output that is a weight"].graph
        proto = onnx.ModelProto()
        proto.CopyFrom(graph.proto)
        proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full(2, value, np.float32), "w"))
        onnx.save(proto, str(folder / "m.onnx"), save_as_external_data=True, size_threshold=0, location="w")
        digests.add(digest_of(OnnxGraph.load(folder / "m.onnx")))
    assert len(digests) == 2


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Return what changes a sidecar as an editor would."""

    def damage(place: Path) -> None:
        file = sidecar_path(place / "model.engine")
        data = json.loads(file.read_text("utf-8"))
        change(data)
        file.write_text(json.dumps(data), "utf-8")

    return damage


def _make_a_file_of(place: Path) -> None:
    shutil.rmtree(place)
    place.write_bytes(b"?")


def _make_a_folder_of_the_engine(place: Path) -> None:
    (place / "model.engine").unlink()
    (place / "model.engine").mkdir()
    (place / "model.engine" / "x").touch()


def _put_a_read_only_engine(place: Path) -> None:
    (place / "model.engine").write_bytes(b"x")
    (place / "model.engine").chmod(0o400)


def _empty(place: Path) -> None:
    for file in place.iterdir():
        file.unlink()


_DAMAGES: dict[str, Callable[[Path], Any]] = {
    "no digest of the engine": _edit(lambda data: data.update(engine_sha256=None)),
    "exchanged names": _edit(lambda data: data["outputs"].reverse()),
    "another profile": _edit(lambda data: data["profiles"][0]["shapes"]["x"][2].__setitem__(0, 9)),
    "deep": lambda place: sidecar_path(place / "model.engine").write_text("[" * 100_000),
    "no text": lambda place: sidecar_path(place / "model.engine").write_bytes(b"\xff\xfe{"),
    "a list": lambda place: sidecar_path(place / "model.engine").write_text("[]"),
    "no sidecar": lambda place: sidecar_path(place / "model.engine").unlink(),
    "an empty engine": lambda place: (place / "model.engine").write_bytes(b""),
    "another engine": lambda place: (place / "model.engine").write_bytes(b"longer"),
    "no engine": lambda place: (place / "model.engine").unlink(),
    "a read-only engine of another": _put_a_read_only_engine,
    "an empty folder": _empty,
    "a folder for an engine": _make_a_folder_of_the_engine,
    "a file for a folder": _make_a_file_of,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Plan:
    """An engine as it was built."""
    with installed(make_tensorrt("11.4.0")):
        return plan_from_graph(_THREE, BuildOptions(batch=2))


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
def test_a_damaged_entry_is_built_again(tmp_path: Path, plan: Plan, damage: Callable[[Path], Any]) -> None:
    """Whatever is wrong with an entry, it is not listed, it is built again, and it can be cleared away."""
    key, built = "0123" * 16, list[None]()

    def build() -> Plan:
        built.append(None)
        return plan

    assert not cached(key, build, tmp_path)[1]
    assert cached(key, build, tmp_path)[1]
    damage(tmp_path / key)
    assert cache_entries(tmp_path) == []
    assert not cached(key, build, tmp_path)[1]
    assert len(built) == 2
    again, known = cached(key, build, tmp_path)
    assert (again.engine_bytes(), known) == (plan.engine_bytes(), True)
    assert sorted(file.name for file in (tmp_path / key).iterdir()) == ["model.engine", "model.engine.json"]
    damage(tmp_path / key)
    clear_cache(tmp_path)
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == []


def _wait_and_build(folder: Path, marks: Path, go: Any) -> None:
    def build() -> Plan:
        (marks / str(os.getpid())).touch()
        threading.Event().wait(0.3)
        with installed(make_tensorrt("11.4.0")):
            return plan_from_graph(_THREE, BuildOptions(batch=2))

    go.wait()
    cached("k" * 64, build, folder)


def test_two_builders_at_once(tmp_path: Path) -> None:
    """Of several processes that want the same engine, one builds it."""
    context = multiprocessing.get_context("spawn")
    marks, go = tmp_path / "marks", context.Event()
    marks.mkdir()
    workers = [context.Process(target=_wait_and_build, args=(tmp_path / "c", marks, go)) for _ in range(2)]
    for worker in workers:
        worker.start()
    go.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(list(marks.iterdir())) == 1
    assert len(cache_entries(tmp_path / "c")) == 1
