"""GazeML's trained weights become ONNX, with no TensorFlow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass import ModelFormatError, ModelNotFoundError, OnnxGraph, UnsupportedModelError, load
from onepass.gaze.model import crop_size_px
from onepass.source.framework import Request
from onepass.source.frameworks.gazeml import ElgSize, open_
from tests.source.bundles import elg_variables, write_bundle, write_gazeml

NAME = "ELG_i20x12_f20x12_n4_m2"
Arrays = dict[str, np.ndarray[Any, Any]]


def _graph(model: onnx.ModelProto) -> OnnxGraph:
    graph = OnnxGraph(model)
    graph.check()
    return graph


def _run(model: onnx.ModelProto, eye: np.ndarray[Any, Any]) -> Arrays:
    with load(_graph(model)) as session:
        return dict(session(eye=eye))


def _eyes(size: ElgSize, count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).uniform(-1, 1, (count, 1, size.height_px, size.width_px)).astype(np.float32)


@pytest.fixture
def variables() -> Arrays:
    """Of the small network that most tests use."""
    return elg_variables(ElgSize(20, 12, 1, 4, 2))


@given(
    map_width=st.integers(9, 24), map_height=st.integers(9, 16), stride=st.integers(1, 3),
    features=st.integers(1, 6), modules=st.integers(1, 3), count=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=15)
def test_the_graph_computes_the_network(
    tmp_path_factory: pytest.TempPathFactory,
    map_width: int, map_height: int, stride: int, features: int, modules: int, count: int,
) -> None:  # fmt: skip
    """Whatever sizes the folder's name defines of, the ONNX graph computes what the reference in float64 does."""
    size = ElgSize(map_width * stride, map_height * stride, stride, features, modules)
    name = f"ELG_i{size.width_px}x{size.height_px}_f{map_width}x{map_height}_n{features}_m{modules}"
    network = open_(write_gazeml(tmp_path_factory.mktemp("gazeml") / name, elg_variables(size)), Request())
    eye = _eyes(size, count)
    expected, found = network.run({"eye": eye}), _run(network.export(17), eye)
    assert list(found) == ["heatmaps", "landmarks", "radius"]
    for output in found:
        scale = max(1.0, float(np.abs(expected[output]).max()))
        np.testing.assert_allclose(found[output], expected[output], atol=2e-4 * scale, err_msg=output)


def test_what_comes_out_runs_as_an_eye_network(tmp_path: Path, variables: Arrays) -> None:
    """The gaze application takes the model, and reads the size of its crops from it."""
    network = open_(write_gazeml(tmp_path / NAME, variables), Request())
    graph = _graph(network.export(17))
    assert crop_size_px(graph.signature) == (20, 12)
    assert graph.signature == network.signature


@pytest.mark.parametrize("opset", [13, 17, 21, 23])
def test_opsets(tmp_path: Path, variables: Arrays, opset: int) -> None:
    """The model is sound, and means the same, in every opset that has all of its operators."""
    network = open_(write_gazeml(tmp_path / NAME, variables), Request())
    eye = _eyes(ElgSize(20, 12, 1, 4, 2), 2)
    model = network.export(opset)
    assert OnnxGraph(model).opset == opset
    np.testing.assert_allclose(_run(model, eye)["landmarks"], network.run({"eye": eye})["landmarks"], atol=1e-3)


def test_old_opsets_are_refused(tmp_path: Path, variables: Arrays) -> None:
    """Opset 10 would lose the alignment of the corners without a word, and is refused instead."""
    with pytest.raises(UnsupportedModelError, match="opset 13 or later, got 10"):
        open_(write_gazeml(tmp_path / NAME, variables), Request()).export(10)


def test_batch_norms_fit_float16(tmp_path: Path, variables: Arrays) -> None:
    """Variances far above float16's range are folded away: no weight is left that float16 cannot hold."""
    assert max(array.max() for name, array in variables.items() if "variance" in name) > 65504
    model = open_(write_gazeml(tmp_path / NAME, variables), Request()).export(17)
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert max(float(np.abs(array).max()) for array in weights) < 65504


@pytest.mark.parametrize("where", [".", "checkpoints"])
def test_one_checkpoint_for_all(tmp_path: Path, variables: Arrays, where: str) -> None:
    """A single checkpoint in the folder, or in `checkpoints`, will do; other variables in it are left alone."""
    step: Arrays = {"global_step": np.array(7, np.int64), "learning_params/Variable": np.zeros(3, np.float32)}
    write_bundle(tmp_path / NAME / where / "model-7", {**variables, **step})
    network = open_(tmp_path / NAME, Request())
    assert network.version == "model-7"
    network.export(17)


def test_the_note_says_which_checkpoint(tmp_path: Path, variables: Arrays) -> None:
    """Of several checkpoints the one counts that TensorFlow's note names; without the note it is asked for."""
    folder = tmp_path / NAME
    write_bundle(folder / "model-1", {**variables, "radius/out/fc/bias": np.full(1, 1, np.float32)})
    write_bundle(folder / "model-2", {**variables, "radius/out/fc/bias": np.full(1, 2, np.float32)})
    assert open_(folder, Request())._variables["radius/out/fc/bias"] == 2
    (folder / "checkpoint").write_text('model_checkpoint_path: "C:\\\\trained\\\\model-1"\n')
    assert open_(folder, Request())._variables["radius/out/fc/bias"] == 1
    (folder / "checkpoint").write_text("nothing\n")
    with pytest.raises(ModelFormatError, match="names no checkpoint"):
        open_(folder, Request())
    (folder / "checkpoint").unlink()
    with pytest.raises(ModelFormatError, match=r"2 checkpoints \(model-1, model-2\)"):
        open_(folder, Request())
    (folder / "model-1.index").unlink()
    assert open_(folder, Request()).version == "model-2"


def test_every_odd_variable_is_listed(tmp_path: Path, variables: Arrays) -> None:
    """Variables that are missing, of another shape, or of no layer are all named at once."""
    del variables["radius/out/fc/kernel"]
    variables["hourglass/pre/conv/bias"] = np.zeros(5, np.float32)
    variables["hourglass/hg_3/after/conv/bias"] = np.zeros(4, np.float32)
    with pytest.raises(ModelFormatError) as caught:
        open_(write_gazeml(tmp_path / NAME, variables), Request())
    for words in (
        "radius/out/fc/kernel is missing",
        "hourglass/pre/conv/bias: expected [4], got [5]",
        "hourglass/hg_3/after/conv/bias belongs to no layer",
    ):
        assert words in str(caught.value)


def test_a_long_list_is_cut(tmp_path: Path, variables: Arrays) -> None:
    """When the name speaks of another network altogether, the message stays readable."""
    write_gazeml(tmp_path / "ELG_i20x12_f20x12_n8_m3", variables)
    with pytest.raises(ModelFormatError, match=r"… and \d+ more"):
        open_(tmp_path / "ELG_i20x12_f20x12_n8_m3", Request())


def test_weights_that_are_not_finite(tmp_path: Path, variables: Arrays) -> None:
    """A training that diverged is no network, and the variable is named."""
    variables["radius/fc1/fc/bias"][3] = np.nan
    with pytest.raises(ModelFormatError, match="non-finite values in radius/fc1/fc/bias"):
        open_(write_gazeml(tmp_path / NAME, variables), Request())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("elg", "does not have the name of a GazeML weights folder"),
        ("ELG_i20x12_f10x12_n4_m2", "GazeML has no network with"),
        ("ELG_i20x12_f0x0_n4_m2", "GazeML has no network with"),
        ("ELG_i20x12_f20x12_n0_m2", "GazeML has no network with"),
    ],
)
def test_wrong_folder_names(tmp_path: Path, variables: Arrays, name: str, words: str) -> None:
    """The name is where the sizes come from, so a wrong one is refused, and the message shows a right one."""
    with pytest.raises(ModelFormatError, match=words):
        open_(write_gazeml(tmp_path / name, variables), Request())


def test_no_checkpoint(tmp_path: Path) -> None:
    """A folder with no checkpoint, and no folder at all, are told apart."""
    with pytest.raises(ModelNotFoundError, match="expected GazeML's unpacked weights"):
        open_(tmp_path / NAME, Request())
    (tmp_path / NAME / "checkpoints").mkdir(parents=True)
    with pytest.raises(ModelNotFoundError, match="no checkpoint found"):
        open_(tmp_path / NAME, Request())


def test_against_tensorflow_114(tmp_path: Path, shared: Path) -> None:
    """With the variables of a network that TensorFlow 1.14 ran, the outputs are TensorFlow's own."""
    folder = tmp_path / "ELG_i60x36_f60x36_n32_m2"
    folder.mkdir()
    for ending in ("index", "data-00000-of-00001"):
        shutil.copy(shared / f"data/elg36_fork_savedmodel/variables/variables.{ending}", folder / f"model-1.{ending}")
    reference = np.load(shared / "data/elg36_fork_reference.npz")
    network = open_(folder, Request())
    eye = reference["in_eye"].transpose(0, 3, 1, 2)
    for found in (network.run({"eye": eye}), _run(network.export(17), eye)):
        np.testing.assert_allclose(found["heatmaps"].transpose(0, 2, 3, 1), reference["out_heatmaps"], atol=1e-5)
        np.testing.assert_allclose(found["landmarks"], reference["out_landmarks"], atol=1e-3)
        np.testing.assert_allclose(found["radius"], reference["out_radius"], atol=1e-3)
