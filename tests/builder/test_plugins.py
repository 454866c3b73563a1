"""Plugins: libraries that bring operators, for builds and for runs, on stand-ins of every TensorRT that builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference.op_run import OpRun

import onepass
from onepass import BuildError, BuildOptions, EngineError, InputError, OnnxGraph
from onepass.builder._cache import cache_key
from onepass.engine import find_flavor, read_sidecar
from onepass.engine.plugins import Plugin
from tests.fakes._plugins import library
from tests.runtime.gpu import BUILDERS, fake_gpu


class Best(OpRun):
    """A detector's tail: how many boxes are good, and the best of each row."""

    def _run(self, boxes: Any, scores: Any, **_: Any) -> tuple[Any, ...]:
        good = (scores > 0.5).sum(axis=1, dtype=np.int32).reshape(-1, 1)
        return good, boxes[np.arange(len(boxes)), scores.argmax(axis=1)]


def _detector(*, version: str = "1") -> OnnxGraph:
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17, "own" : 1]> detector '
        "(float[N, 3, 4] boxes, float[N, 3] scores) => (int32[N, 1] num_dets, float[N, 4] best, float[N, 3, 4] raw) {"
        f' s = Sigmoid (scores) \n num_dets, best = own.Best <plugin_version = "{version}"> (boxes, s)'
        " \n raw = Neg (boxes) }"
    )
    return OnnxGraph(proto)


_FEEDS = {
    "boxes": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "scores": np.array([[2, 3, -1], [-1, -2, -3]], np.float32),
}


@pytest.mark.parametrize("is_asked", [False, True], ids=["registers itself", "is asked"])
@pytest.mark.parametrize("api", BUILDERS)
def test_a_library_brings_an_operator(api: str, is_asked: bool, tmp_path: Path) -> None:
    """Named for the build and for the run, its outputs come by name, in the model's order, beside all others."""
    if is_asked and api == "8.5.3":
        pytest.skip("TensorRT 8.5 asks no library")
    file = tmp_path / "libbest.so"
    with fake_gpu(api) as (_, trt), library(trt, file, computes=[Best], is_asked=is_asked):
        onepass.build(_detector(), tmp_path / "a.engine", batch=(1, 2, 4), plugins=[file])
        with onepass.load(tmp_path / "a.engine", plugins=str(file)) as session:
            outputs = dict(session(_FEEDS))
            assert list(outputs) == ["num_dets", "best", "raw"]
            assert outputs["num_dets"].tolist() == [[2], [0]]
            assert outputs["best"].tolist() == [[4, 5, 6, 7], [12, 13, 14, 15]]
            del outputs
        plan = read_sidecar(tmp_path / "a.engine")
        assert plan is not None
        assert plan.options["plugins"] == [str(file)]
        assert plan.plugins == (Plugin("Best"),)


@pytest.mark.parametrize("api", BUILDERS)
def test_a_run_without_the_library(api: str, tmp_path: Path) -> None:
    """The engine says which plugin it misses, from where that came, and what to give; without a sidecar, too."""
    file = tmp_path / "libbest.so"
    with fake_gpu(api) as (_, trt), library(trt, file, computes=[Best]):
        onepass.build(_detector(), tmp_path / "a.engine", batch=2, plugins=file)
    with fake_gpu(api):
        said = r"a.engine needs the plugin Best, version 1"
        with pytest.raises(EngineError, match=rf"{said}, which came from .*libbest.so when .*plugins=\['libbest.so'\]"):
            onepass.load(tmp_path / "a.engine")
        if api.startswith("rtx"):  # whose engines are known by their sidecar
            return
        (tmp_path / "a.engine.json").unlink()
        with pytest.raises(EngineError, match=rf"(?s){said}; .* tensorrt.* plugins=\[.*TensorRT says:.*Best"):
            onepass.load(tmp_path / "a.engine")


@pytest.mark.parametrize("api", BUILDERS)
def test_a_build_without_the_library(api: str) -> None:
    """The node, the plugin and what to do are said in place of TensorRT's own words."""
    said = r"\(Best\) needs the plugin Best, version 1, but no plugin of this .*plugins="
    with fake_gpu(api), pytest.raises(BuildError, match=said):
        onepass.build(_detector(), batch=2)


def test_another_version_of_a_plugin(tmp_path: Path) -> None:
    """What is registered under that name is said."""
    file = tmp_path / "libbest.so"
    with fake_gpu("10.16.1") as (_, trt), library(trt, file, computes=[Best], version="2"):
        with pytest.raises(
            BuildError, match=r"plugin Best, version 1, but only Best, version 2 is registered"
        ) as caught:
            onepass.build(_detector(), batch=2, plugins=file)
        assert "Plugin not found" not in str(caught.value)
        assert onepass.build(_detector(version="2"), batch=2).plugins == (Plugin("Best", "2"),)


def test_libraries_that_bring_nothing(tmp_path: Path) -> None:
    """What is not there, what is no library, and what is no path: each its own error."""
    (tmp_path / "text.so").write_text("no library")
    with fake_gpu("11.4.0"):
        for plugins, message in (
            (tmp_path / "none.so", r"library not found: .*none.so"),
            (tmp_path / "text.so", r"cannot load the library .*text.so: .*built for this machine"),
            (3, r"plugins must be a file path or a list of file paths, got 3"),
        ):
            with pytest.raises(InputError, match=message):
                onepass.build(_detector(), batch=2, plugins=plugins)  # type: ignore[arg-type]


def test_a_library_that_refuses(tmp_path: Path) -> None:
    """One that TensorRT asks in vain is named."""
    file, said = tmp_path / "libbest.so", r"tensorrt 10.0.1 loads no plugin from .*libbest.so"
    with (
        fake_gpu("10.0.1") as (_, trt),
        library(trt, file, computes=[], is_asked=True),
        pytest.raises(InputError, match=said),
    ):
        onepass.build(_detector(), batch=2, plugins=file)


def test_the_cache_knows_libraries_by_their_content(tmp_path: Path) -> None:
    """A library that was built anew gives another engine."""
    file = tmp_path / "libbest.so"
    with fake_gpu("10.16.1"):
        keys = set()
        for content in (b"1", b"2", b"1"):
            file.write_bytes(content)
            keys.add(cache_key("0", BuildOptions(plugins=file), find_flavor()))
    assert len(keys) == 2


def test_plugins_in_a_spec(tmp_path: Path) -> None:
    """A spec takes libraries to another process, and reads them behind the model's name."""
    spec = onepass.ModelSpec.parse("yolo.engine@plugins=libbest.so,device=1")
    assert spec == onepass.ModelSpec("yolo.engine", device=1, plugins=["libbest.so"])
    assert onepass.ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert onepass.ModelSpec.parse(str(spec)) == spec
