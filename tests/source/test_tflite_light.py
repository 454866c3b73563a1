"""Float networks of TFLite are translated without TensorFlow; what is not covered goes the other way."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import InputError, ModelFormatError, OnepassError, OnnxGraph, UnsupportedModelError
from onepass.outputs import Array
from onepass.source.framework import Request, framework_of
from onepass.source.frameworks.tflite._file import TFLiteFile
from onepass.source.frameworks.tflite._translate import translated
from tests.source.tflite_file import Model, Op

SAME, VALID = 0, 1
RELU, RELU6 = 1, 3
_SIGN_BIT = {"FusedActivationFunction": 5}
HAS_LITERT = find_spec("ai_edge_litert") is not None
in_this_process = pytest.mark.usefixtures("in_this_process")
_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


def _conv(kind: str, values: dict[str, Any], *names: str) -> Op:
    options = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}[kind]
    return Op(kind, names[:-1], names[-1:], options, {"StrideH": 1, "StrideW": 1, **values})


def _run(model: Model, path: Path, **inputs: Array) -> onepass.Outputs:
    """Convert a file, held against LiteRT where that is here, and run it."""
    onepass.convert(model.save(path / "in.tflite"), path / "out.onnx", verify=HAS_LITERT)
    with onepass.load(path / "out.onnx") as session:
        return session(inputs)


def _convolved(x: Array, kernel: Array, strides: tuple[int, int], dilation: int, padding: int) -> Array:
    """Return a depthwise convolution of [N, H, W, C] with [H, W, C], as TensorFlow describes it."""
    window = [(size - 1) * dilation + 1 for size in kernel.shape[:2]]
    if padding == SAME:
        short = [
            max((-(-size // stride) - 1) * stride + reach - size, 0)
            for size, stride, reach in zip(x.shape[1:3], strides, window, strict=True)
        ]
        x = np.pad(x, [(0, 0), *((each // 2, each - each // 2) for each in short), (0, 0)])
    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    views = views[:, :: strides[0], :: strides[1], :, ::dilation, ::dilation]
    convolved: Array = np.einsum("nhwcij,ijc->nhwc", views, kernel)
    return convolved


@in_this_process
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.sampled_from([(1, 1), (2, 2), (1, 2)]),
    dilation=st.sampled_from([1, 2]),
    padding=st.sampled_from([SAME, VALID]),
    channels=st.integers(1, 3),
)
def test_convolutions_of_any_geometry(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], dilation: int, padding: int,
    channels: int,
) -> None:  # fmt: skip
    """Whatever kernel, stride, dilation and padding are, the pixels are those that TensorFlow computes."""
    if strides != (1, 1):
        dilation = 1  # TensorFlow has either
    x, weights = _normal(1, *size, channels), _normal(1, *kernel, channels)
    expected = _convolved(x, weights[0], strides, dilation, padding)
    values = {"Padding": padding, "StrideH": strides[0], "StrideW": strides[1], "DepthMultiplier": 1,
              "DilationHFactor": dilation, "DilationWFactor": dilation}  # fmt: skip
    model = Model(
        {"x": x.shape, "y": expected.shape}, [_conv("DEPTHWISE_CONV_2D", values, "x", "w", "b", "y")], ["x"], ["y"],
        {"w": weights, "b": np.zeros(channels, np.float32)},
    )  # fmt: skip
    outputs = _run(model, tmp_path_factory.mktemp("conv"), x=x)
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-4, atol=1e-5)


def _everything() -> Model:
    """A network of every operator that is covered, most of them on pictures."""
    shapes: dict[str, list[int]] = {"x": [1, 8, 6, 4]}
    constants: dict[str, Array] = {}
    ops: list[Op] = []

    def op(kind: str, inputs: list[str], shape: list[int], options: str = "", **values: Any) -> str:
        name = f"{kind.lower()}{len(ops)}"
        shapes[name] = shape
        ops.append(Op(kind, inputs, [name], options, values))
        return name

    def constant(values: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(constants)}"
        constants[name] = np.asarray(values, dtype)
        return name

    picture = shapes["x"]
    half = constant(_normal(5, 3, 3, 4), np.float16)
    weights = op("DEQUANTIZE", [half], [5, 3, 3, 4])
    y = op("CONV_2D", ["x", weights, constant(_normal(5))], [1, 4, 3, 5], "Conv2DOptions",
           StrideH=2, StrideW=2, Padding=SAME, FusedActivationFunction=RELU6)  # fmt: skip
    y = op("CONV_2D", [y, constant(_normal(4, 1, 1, 5)), constant(_normal(4))], [1, 4, 3, 4], "Conv2DOptions",
           StrideH=1, StrideW=1, FusedActivationFunction=RELU)  # fmt: skip
    y = op("PRELU", [y, constant(_normal(1, 1, 4))], [1, 4, 3, 4])
    y = op("RESIZE_BILINEAR", [y, constant(picture[1:3], np.int32)], picture, "ResizeBilinearOptions",
           HalfPixelCenters=True)  # fmt: skip
    small = op("MAX_POOL_2D", [y], [1, 4, 3, 4], "Pool2DOptions", StrideH=2, StrideW=2, FilterWidth=3, FilterHeight=3)
    small = op("AVERAGE_POOL_2D", [small], [1, 4, 3, 4], "Pool2DOptions",
               StrideH=1, StrideW=1, FilterWidth=2, FilterHeight=2)  # fmt: skip
    grown = op("RESIZE_NEAREST_NEIGHBOR", [small, constant(picture[1:3], np.int32)], picture,
               "ResizeNearestNeighborOptions")  # fmt: skip
    for kind, other in (("ADD", y), ("MUL", constant(_normal(4))), ("SUB", "x"), ("MAXIMUM", grown),
                        ("MINIMUM", constant(np.float32(2)))):  # fmt: skip
        options = {"ADD": "AddOptions", "MUL": "MulOptions", "SUB": "SubOptions"}.get(kind, "")
        y = op(kind, [y, other], picture, options)
    for kind in ("RELU6", "HARD_SWISH", "TANH", "ABS", "LOGISTIC", "EXP"):
        y = op(kind, [y], picture)
    y = op("LEAKY_RELU", [y], picture, "LeakyReluOptions", Alpha=0.2)
    wide = op("PAD", [y, constant([[0, 0], [1, 0], [0, 2], [0, 1]], np.int32)], [1, 9, 8, 5])
    both = op("CONCATENATION", [y, grown], [1, 8, 6, 8], "ConcatenationOptions", Axis=-1)
    deep = op("DEPTH_TO_SPACE", [both], [1, 16, 12, 2], "DepthToSpaceOptions", BlockSize=2)
    turned = op("TRANSPOSE", [deep, constant([0, 2, 1, 3], np.int32)], [1, 12, 16, 2])
    pooled = op("MEAN", [both, constant([1, 2], np.int32)], [1, 8], "ReducerOptions", KeepDims=False)
    kept = op("MEAN", [both, constant([1, 2], np.int32)], [1, 1, 1, 8], "ReducerOptions", KeepDims=True)
    flat = op("RESHAPE", [kept, constant([1, 8], np.int32)], [1, 8])
    joined = op("ADD", [pooled, flat], [1, 8], "AddOptions")
    dense = op("FULLY_CONNECTED", [joined, constant(_normal(3, 8)), constant(_normal(3))], [1, 3],
               "FullyConnectedOptions", FusedActivationFunction=RELU)  # fmt: skip
    soft = op("SOFTMAX", [dense], [1, 3], "SoftmaxOptions", Beta=1.0)
    lines = op("RESHAPE", [wide, constant([1, 72, 5], np.int32)], [1, 72, 5])
    return Model(shapes, ops, ["x"], [lines, soft, turned, "x"], constants)


@in_this_process
def test_every_operator(tmp_path: Path) -> None:
    """A network of all that is covered has its outputs in their order, a constant batch or any, as LiteRT has them."""
    model = _everything()
    source = model.save(tmp_path / "in.tflite")
    assert framework_of(source).covering(source, Request(), 17).module.endswith("tflite._light")
    done = onepass.convert(source, tmp_path / "out.onnx", verify=HAS_LITERT)
    assert done.signature.output_names == tuple(model.outputs)
    assert done.signature.outputs[0].shape == (1, 72, 5)
    assert done.framework.startswith("LiteRT 2" if HAS_LITERT else "TFLite's schema 2")
    OnnxGraph.load(tmp_path / "out.onnx").check()
    x = _normal(1, 8, 6, 4)
    with onepass.load(tmp_path / "out.onnx") as session:
        outputs = session(x=x)
    np.testing.assert_array_equal(outputs["x"], x)
    np.testing.assert_allclose(outputs[model.outputs[1]].sum(), 1, rtol=1e-5)


@in_this_process
def test_layouts_between_convolutions(tmp_path: Path) -> None:
    """Between convolutions nothing is transposed; with channels first asked for, nothing is at all."""
    ops = [
        _conv("CONV_2D", {"Padding": SAME}, "x", "w", "bias", "a"),
        Op("RELU", ["a"], ["b"]),
        _conv("CONV_2D", {"Padding": SAME}, "b", "w", "bias", "c"),
        Op("ADD", ["c", "b"], ["y"], "AddOptions"),
    ]
    constants = {"w": _normal(3, 3, 3, 3), "bias": _normal(3)}
    model = Model({name: [1, 5, 4, 3] for name in "xabcy"}, ops, ["x"], ["y"], constants)
    source = model.save(tmp_path / "in.tflite")
    onepass.convert(source, tmp_path / "out.onnx", verify=HAS_LITERT)
    assert [node.op_type for node in OnnxGraph.load(tmp_path / "out.onnx").proto.graph.node].count("Transpose") == 2
    done = onepass.convert(
        source, tmp_path / "first.onnx", channels_first=["x", "y"], batch="dynamic", verify=HAS_LITERT
    )
    assert [spec.shape for spec in (*done.signature.inputs, *done.signature.outputs)] == [("N", 3, 5, 4)] * 2
    assert "Transpose" not in {node.op_type for node in OnnxGraph.load(tmp_path / "first.onnx").proto.graph.node}


_TWO = Model(
    {"in:0": [-1, 4], "a": [-1, 4], "b": [-1, 4]}, [Op("NEG", ["in:0"], ["a"]), Op("ABS", ["in:0"], ["b"])], ["in:0"],
    ["a", "b"],
)  # fmt: skip


@in_this_process
@pytest.mark.parametrize("names", [["second", "first"], ["first", "second"], ["b", "a"]])
def test_the_signatures_names_and_order(names: list[str], tmp_path: Path) -> None:
    """Outputs have the names of the signature, in its order, whatever the order of the graph's own."""
    model = Model(**{**vars(_TWO), "signature": ({"x": "in:0"}, dict(zip(names, ("b", "a"), strict=True)))})
    outputs = _run(model, tmp_path, x=np.full((2, 4), -2, np.float32))
    assert list(outputs) == names
    np.testing.assert_array_equal(outputs[names[0]], np.full((2, 4), 2))
    np.testing.assert_array_equal(outputs[names[1]], np.full((2, 4), 2))
    with pytest.raises(
        InputError, match="no signature 'serve'. Its signatures are: serving_default".replace(".", r"\.")
    ):
        onepass.convert(tmp_path / "in.tflite", tmp_path / "no.onnx", signature="serve")


@in_this_process
def test_an_output_with_the_name_of_an_input(tmp_path: Path) -> None:
    """One that is that input is it; one that is something else gets another name."""
    model = Model(**{**vars(_TWO), "signature": ({"x": "in:0"}, {"x": "a", "y": "in:0"})})
    outputs = _run(model, tmp_path, x=np.full((2, 4), -2, np.float32))
    assert list(outputs) == ["x_out", "y"]
    np.testing.assert_array_equal(outputs["y"], np.full((2, 4), -2))


@in_this_process
def test_names_that_a_graph_in_the_making_has(tmp_path: Path) -> None:
    """Tensors may be called what the translation calls its own."""
    model = Model({"node_1": [2], "input_0": [2], "weight_0": [2]}, [
        Op("ADD", ["node_1", "c"], ["input_0"], "AddOptions"), Op("NEG", ["input_0"], ["weight_0"]),
    ], ["node_1"], ["weight_0", "input_0"], {"c": np.ones(2, np.float32)})  # fmt: skip
    outputs = _run(model, tmp_path, node_1=np.ones(2, np.float32))
    assert {name: array.tolist() for name, array in outputs.items()} == {"weight_0": [-2, -2], "input_0": [2, 2]}


@in_this_process
@pytest.mark.parametrize(
    "changed",
    [
        {"ops": [Op("NEG", ["in:0"], ["a"]), Op("CUMSUM", ["in:0", "a"], ["b"])]},
        {"quantised": ["a"]},
        {"ops": [Op("NEG", ["in:0"], ["a"]), Op("SOFTMAX", ["in:0"], ["b"], "SoftmaxOptions", {"Beta": 2.0})]},
        {"ops": [Op("NEG", ["in:0"], ["a"]), Op("CONV_2D", ["in:0", "a"], ["b"])]},
        {"ops": [Op("NEG", ["in:0"], ["a"]), Op("ADD", ["a", "a"], ["b"], "AddOptions", _SIGN_BIT)]},
        {"ops": [Op("ABS", ["a"], ["b"]), Op("NEG", ["in:0"], ["a"])]},
    ],
    ids=["operator", "quantised", "option", "shape", "activation", "order"],
)  # fmt: skip
def test_what_is_not_covered(changed: dict[str, Any], tmp_path: Path) -> None:
    """Anything else is left to TensorFlow, and never translated into something else."""
    source = Model(**{**vars(_TWO), **changed}).save(tmp_path / "in.tflite")
    assert framework_of(source).covering(source, Request(), 17).module.endswith("tflite._with_tensorflow")
    with pytest.raises(UnsupportedModelError):
        translated(TFLiteFile(source), 17)


@in_this_process
@pytest.mark.parametrize(
    "changed",
    [
        {"variables": ["a"]},
        {"ops": [Op("NEG", ["in:0"], ["a"]), Op("VAR_HANDLE", [], ["b"])]},
        {"ops": [Op("READ_VARIABLE", ["in:0"], ["a"]), Op("ABS", ["in:0"], ["b"])]},
    ],
    ids=["tensor", "handle", "read"],
)
def test_a_state_is_told(changed: dict[str, Any], tmp_path: Path) -> None:
    """A network that keeps something between calls is refused before anything heavy is asked for, with what to do."""
    source = Model(**{**vars(_TWO), **changed}).save(tmp_path / "in.tflite")
    with pytest.raises(UnsupportedModelError, match=r"keeps a state .* \((a|VAR_HANDLE|READ_VARIABLE)\).* as an input"):
        onepass.convert(source, tmp_path / "out.onnx")


@in_this_process
@given(data=st.data())
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut off or spoilt anywhere, a file is read, or refused with an error of ours."""
    folder = tmp_path_factory.mktemp("damaged")
    whole = bytearray(_everything().save(folder / "in.tflite").read_bytes())
    end = data.draw(st.integers(12, len(whole)))
    for place, value in data.draw(st.lists(st.tuples(st.integers(8, end - 1), st.integers(0, 255)), max_size=5)):
        whole[place] = value
    (folder / "bad.tflite").write_bytes(whole[:end])
    try:
        translated(TFLiteFile(folder / "bad.tflite"), 17)
    except OnepassError as error:
        assert isinstance(error, (ModelFormatError, UnsupportedModelError))  # noqa: PT017
