"""The SavedModel that TensorFlow 1.14 wrote for GazeML's fork: it reads a queue, and gives some inputs back."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import onepass
from onepass import OnnxGraph
from tests.source.networks import converted, needs

needs("tensorflow", "tf2onnx")
_DATA = Path(__file__).parents[3] / "shared" / "data"
if not (_DATA / "elg36_fork_savedmodel").is_dir():
    pytest.skip(f"no SavedModel of the fork in {_DATA}", allow_module_level=True)

_INPUTS = ("eye", "eye_index", "frame_index")
_TOLERANCES = {"heatmaps": 1e-4, "landmarks": 1e-3, "radius": 1e-3, "eye": 0, "eye_index": 0, "frame_index": 0}


def test_every_output_is_that_of_tensorflow_1(tmp_path: Path) -> None:
    """In one call: names, order, shapes, and TensorFlow 1.14's own numbers."""
    result = converted(_DATA / "elg36_fork_savedmodel", tmp_path / "elg.onnx")
    assert result.signature.input_names == _INPUTS
    assert result.signature.output_names == (*_INPUTS, "heatmaps", "landmarks", "radius")
    reference = np.load(_DATA / "elg36_fork_reference.npz")
    with onepass.load(tmp_path / "elg.onnx") as session:
        for start in range(0, 8, 2):
            pair = slice(start, start + 2)
            outputs = session({name: reference[f"in_{name}"][pair] for name in _INPUTS})
            for name, tolerance in _TOLERANCES.items():
                assert np.abs(outputs[name] - reference[f"out_{name}"][pair]).max() <= tolerance, name


@pytest.fixture(scope="module")
def for_tensorrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for any number of eyes, with pictures as TensorRT likes them."""
    target = tmp_path_factory.mktemp("elg") / "elg.onnx"
    converted(_DATA / "elg36_fork_savedmodel", target, batch="dynamic", channels_first=["eye", "heatmaps"])
    return target


def test_any_batch_channels_first(for_tensorrt: Path) -> None:
    """A network made for two eyes takes any number, and gives the same numbers in the other layout."""
    graph = OnnxGraph.load(for_tensorrt)
    assert {spec.name: spec.shape for spec in graph.signature.outputs} == {
        "eye": ("N", 1, 36, 60),
        "eye_index": ("N",),
        "frame_index": ("N",),
        "heatmaps": ("N", 18, 36, 60),
        "landmarks": ("N", 18, 2),
        "radius": ("N", 1),
    }
    assert sum(node.op_type == "Transpose" for node in graph.proto.graph.node) <= 1
    reference = np.load(_DATA / "elg36_fork_reference.npz")
    with onepass.load(graph) as session:
        inputs = {name: reference[f"in_{name}"] for name in _INPUTS}
        outputs = session({**inputs, "eye": inputs["eye"].transpose(0, 3, 1, 2)})
    assert np.abs(outputs["heatmaps"].transpose(0, 2, 3, 1) - reference["out_heatmaps"]).max() <= 1e-4
    assert np.abs(outputs["landmarks"] - reference["out_landmarks"]).max() <= 1e-3
    assert np.abs(outputs["radius"] - reference["out_radius"]).max() <= 1e-3


@pytest.mark.skipif(find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")
def test_tensorrt_builds_it(for_tensorrt: Path, tmp_path: Path) -> None:
    """The converted model becomes an engine with every output under its name; no GPU is needed to build."""
    plan = onepass.build(for_tensorrt, tmp_path / "elg.engine", batch=(1, 2, 8), flavor="tensorrt_rtx")
    assert [edge.spec.name for edge in plan.outputs] == [*_INPUTS, "heatmaps", "landmarks", "radius"]
    assert [edge.spec.name for edge in plan.inputs] == list(_INPUTS)
