"""Layers that stay float32, and whether an engine computes as was asked."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from onepass import (
    BuildError,
)
from onepass.builder._constraints import keep_layers_float32
from onepass.builder._layers import check_precision
from onepass.engine import (
    find_flavor,
)
from onepass.engine.layers import Layer, layers_of_engine
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt


class _Layer:
    """One layer of a network as version 8.5 or 10 shows it."""

    def __init__(self, name: str, reads: str, makes: str, *, kind: str = "ELEMENTWISE", dtype: str = "FLOAT") -> None:
        self.name, self.type = name, SimpleNamespace(name=kind)
        self.metadata = ""
        self._in, self._out = (
            SimpleNamespace(name=reads),
            SimpleNamespace(name=makes, dtype=SimpleNamespace(name=dtype)),
        )
        self.num_inputs = self.num_outputs = 1
        self.precision: Any = None
        self.output_type: Any = None

    def get_input(self, index: int) -> Any:
        return self._in

    def get_output(self, index: int) -> Any:
        return self._out

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_type = dtype


def test_layers_held_in_float32() -> None:
    """Layers of kept nodes are held by name, number or metadata; so are nameless ones between; the others are not."""
    trt = make_tensorrt("8.5.3")
    layers = [
        _Layer("conv_1", "x", "a"), _Layer("conv_10", "a", "b"), _Layer("(Unnamed Layer* 2) [Shuffle]", "b", "c"),
        _Layer("soft", "c", "d"), _Layer("soft_7", "d", "e"), _Layer("other", "e", "f"), _Layer("cast", "f", "g"),
        _Layer("index", "e", "h", dtype="INT32"),
    ]  # fmt: skip
    layers[5].metadata, layers[6].type.name = "[ONNX Layer: sum]", "CAST"
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])
    with installed(trt):
        nodes = {"conv_1", "conv_10", "soft", "sum", "cast", "index"}
        assert keep_layers_float32(find_flavor(), network, nodes, {"soft", "sum", "cast", "index"}) == 4
    assert [layer.precision is not None for layer in layers] == [False, False, True, True, True, True, False, False]
    assert all(layer.precision == layer.output_type for layer in layers)


_SOUND = {
    "Name": "Conv_1", "LayerType": "CaskConvolution",
    "Inputs": [{"Name": "x", "Location": "Device", "Dimensions": [-1, 3], "Format/Datatype": "Row major linear FP32"}],
    "Outputs": [{"Name": "y", "Location": "Device", "Dimensions": [-1, 4], "Format/Datatype": "Row major linear FP16"}],
    "ParameterType": "Convolution", "TacticName": "sm80",
}  # fmt: skip


@pytest.mark.parametrize("name", ["Conv_1", 'a "quoted" name', "back\\slash", "two\nlines", "[brackets], {braces}"])
@pytest.mark.parametrize("indent", [None, 2])
def test_layers_that_are_no_sound_json(name: str, indent: int | None) -> None:
    """A name that TensorRT does not escape hides neither its own layer's types nor those of the others."""
    text = json.dumps({**_SOUND, "Name": "@", "Inputs": [{**_SOUND["Inputs"][0], "Name": "@"}]}, indent=indent)  # type: ignore[dict-item]
    texts = [text.replace("@", name), json.dumps(_SOUND)]
    inspector = SimpleNamespace(
        get_engine_information=lambda form: '{"Layers": [' + ",".join(texts) + "]}",
        get_layer_information=lambda index, form: texts[index],
    )
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector, num_layers=2, num_io_tensors=0)
    with installed(make_tensorrt("8.5.3")):
        layers = layers_of_engine(find_flavor(), engine)
    assert layers == [
        Layer(name, "CaskConvolution", ("fp16", "fp32"), (name,), ("y",)),
        Layer("Conv_1", "CaskConvolution", ("fp16", "fp32"), ("x",), ("y",)),
    ]


def test_layers_by_name_alone() -> None:
    """Where an engine was built to tell no more, sound JSON or not."""
    inspector = SimpleNamespace(
        get_engine_information=lambda form: '{"Layers": ["a "b""]}', get_layer_information=lambda index, form: '"a "b""'
    )
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector, num_layers=1, num_io_tensors=0)
    with installed(make_tensorrt("8.5.3")):
        assert layers_of_engine(find_flavor(), engine) == [Layer('a "b', "", ())]


def test_precision_is_read_back() -> None:
    """The inspector's words become types; a precision that no layer has is an error."""
    text = json.dumps({"Layers": [
        {"Name": "a", "LayerType": "Conv", "Inputs": [{"Format/Datatype": "Row major linear FP32"}],
         "Outputs": [{"Format/Datatype": "Two wide channel vectorized row major FP16 format"}]},
        {"Name": "b", "LayerType": "Relu", "Inputs": [], "Outputs": [{"Format/Datatype": "Row major Int8 format"}]},
        "c",
    ]})  # fmt: skip
    inspector = SimpleNamespace(get_engine_information=lambda form: text)
    with installed(make_tensorrt("8.5.3")):
        flavor = find_flavor()
        layers = layers_of_engine(flavor, SimpleNamespace(create_engine_inspector=lambda: inspector, num_io_tensors=0))
        assert layers == [Layer("a", "Conv", ("fp16", "fp32")), Layer("b", "Relu", ("int8",)), Layer("c", "", ())]
        with pytest.raises(BuildError, match=r"fp16 was requested, but .* built no layer in it \(3 in fp32\)"):
            check_precision(flavor, ["fp16"], {"fp32": 3})
        check_precision(flavor, ["fp16", "int8"], {"int8": 1, "fp32": 3})
