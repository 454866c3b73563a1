"""What an engine takes and gives in place of what the model does: pictures, types; and where it runs: accelerators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onepass
from onepass import BuildOptions, InputError, OnnxGraph, UnsupportedModelError
from onepass.builder.interface import PictureInput, edge_dtypes
from onepass.engine import find_flavor, plan_from_graph, refit
from tests.fakes.tensorrt import fake_engine
from tests.runtime.gpu import BUILDERS, fake_gpu, plan_of
from tests.zoo import BY_NAME, model

_WEIGHTS = ", ".join(f"{value:.3f}" for value in np.random.default_rng(0).uniform(-1, 1, 24))
_COLOURS = model(
    "(float[N, 3, H, W] image, float[N, 1] factor) => (float[N, 2, H, W] mask, float[N, 3, H, W] plain) "
    f'<float[2, 3, 2, 2] w = {{{_WEIGHTS}}}> {{ c = Conv <auto_pad = "SAME_UPPER"> (image, w) \n mask = Sigmoid (c)'
    " \n plain = Neg (image) }"
)
_IMAGENET = "bgr,0.485:0.456:0.406,0.229:0.224:0.225"


def _outside(pixels: Any) -> Any:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    prepared = (pixels[..., ::-1] / 255 - mean) / std
    return np.ascontiguousarray(prepared.transpose(0, 3, 1, 2), dtype=np.float32)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("api", BUILDERS)
def test_pictures_go_in_as_they_are(api: str, precision: str) -> None:
    """A decoder's bytes give what pictures prepared outside give, on every TensorRT; the plan's signature says so."""
    pixels = np.random.default_rng(1).integers(0, 256, (2, 5, 6, 3), np.uint8)
    factor = np.ones((2, 1), np.float32)
    with fake_gpu(api):
        plan = plan_of(
            _COLOURS, shapes={"image": ((1, 4, 4, 3), (2, 5, 6, 3), (4, 8, 8, 3)), "factor": (1, 2, 4)},
            picture_inputs={"image": _IMAGENET}, precision=precision,
        )  # fmt: skip
        assert str(plan.signature.inputs[0]) == "uint8 [N, H, W, 3]"
        assert plan.signature.outputs == _COLOURS.signature.outputs
        with onepass.load(plan) as session, onepass.load(_COLOURS) as reference:
            outputs = {name: array.copy() for name, array in session(image=pixels, factor=factor).items()}
            expected = reference(image=_outside(pixels), factor=factor)
    for name, array in expected.items():
        np.testing.assert_allclose(outputs[name], array, rtol=1e-6 if precision == "fp32" else 1e-2, atol=1e-2)


def test_real_tensorrt_rtx_takes_pictures() -> None:
    """TensorRT-RTX builds an engine of bytes."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install '.[rtx]'")
    options = BuildOptions(
        sizes={"N": (1, 2, 4), "H": 8, "W": 8}, picture_inputs={"image": _IMAGENET}, precision="fp16"
    )  # fmt: skip
    plan = plan_from_graph(_COLOURS, options, flavor=find_flavor("tensorrt_rtx"))
    assert plan.inputs[0].carrier == np.uint8
    assert plan.layer_types["fp16"] > 0


@pytest.mark.parametrize(("text", "message"), [
    ("rbg", "channel order must be rgb or bgr or gray, got 'rbg'"), ("rgb,a", "invalid picture input 'rgb,a'; exp"),
    ("rgb,1,2,3", "invalid picture input"), ("", "invalid picture input"), ("rgb;1", "invalid picture input"),
])  # fmt: skip
def test_words_that_say_nothing_of_pictures(text: str, message: str) -> None:
    """What is expected is said."""
    with pytest.raises(InputError, match=message):
        BuildOptions(picture_inputs={"image": text})


_numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4).map(tuple)


@given(st.builds(PictureInput, order=st.sampled_from(["rgb", "bgr", "gray"]), mean=_numbers, std=_numbers))
def test_pictures_as_text(pictures: PictureInput) -> None:
    """Text and value are one."""
    assert PictureInput.parse(str(pictures)) == pictures


@pytest.mark.parametrize("api", BUILDERS)
def test_types_of_single_edges(api: str) -> None:
    """An input or output takes another type, by name or in order, the rest stay; with float32 inside, and with fp16."""
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4)).astype(np.float32)
    text = f"<float[4, 4] w = {{{', '.join(['0.5'] * 16)}}}>"
    graph = model(f"(float[N, 4] a, float[N, 4] b) => (float[N, 4] y, float[N, 4] z) {text} {{"
                  " h = MatMul (a, w) \n y = Add (h, b) \n z = Relu (h) }")  # fmt: skip
    for precision in ("fp32", "fp16"):
        for formats in ({"b": "fp16"}, ["fp32:chw", "fp16:chw"], "fp32,fp16"):
            with fake_gpu(api):
                plan = plan_of(
                    graph, batch=2, input_io_formats=formats, output_io_formats={"z": "fp16"}, precision=precision
                )
                assert [str(spec.dtype) for spec in plan.signature.inputs] == ["float32", "float16"]
                assert [str(spec.dtype) for spec in plan.signature.outputs] == ["float32", "float16"]
                with onepass.load(plan) as session, onepass.load(graph) as reference:
                    expected = reference(a=x, b=x)
                    for name, array in session(a=x, b=x.astype(np.float16)).items():
                        np.testing.assert_allclose(array, expected[name], atol=5e-3)


@pytest.mark.parametrize(("options", "message"), [
    ({"input_io_formats": ["fp16"]}, r"input_io_formats has 1 types for 2 inputs \(a, b\); give one type each"),
    ({"input_io_formats": {"c": "fp16"}}, "no input 'c'"),
    ({"input_io_formats": {"a": "fp17"}}, "input_io_formats of 'a': unknown type 'fp17'; expected one of fp32"),
    ({"output_io_formats": ["fp16:chw32"]}, "layout 'chw32' is not supported"),
    ({"output_io_formats": {"y": "int8"}}, "output 'y' is float32 and cannot become int8"),
    ({"picture_inputs": {"c": "rgb"}}, "no input 'c'"),
    ({"gpu_fallback": True}, "gpu_fallback requires an accelerator; choose one with dla"),
    ({"dla": 0}, "the accelerator supports only precision fp16 and int8"),
    ({"precision": ["best", "fp16"]}, "precision best already includes all that the model supports"),
])  # fmt: skip
def test_what_does_not_fit(options: dict[str, Any], message: str) -> None:
    """The tensor or the option is named."""
    graph = model("(float[N, 4] a, float[N, 4] b) => (float[N, 4] y) { y = Add (a, b) }")
    with fake_gpu("10.16.1"), pytest.raises(InputError, match=message):
        plan_of(graph, batch=2, **options)


_KINDS = {"fp32": np.float32, "fp16": np.float16, "bf16": ml_dtypes.bfloat16, "int32": np.int32, "int64": np.int64}


@settings(max_examples=40)
@given(own=st.sampled_from(["float", "float16", "int32", "int64"]), new=st.sampled_from([*_KINDS]))
def test_a_type_becomes_one_of_its_family(own: str, new: str) -> None:
    """Floating-point numbers become such, whole numbers such; nothing is listed that stays."""
    graph = model(f"({own}[N] x) => ({own}[N] y) {{ y = Neg (x) }}")
    before = graph.signature.inputs[0].dtype
    if (before.kind == "i") != new.startswith("int"):
        with pytest.raises(InputError, match="cannot be"):
            edge_dtypes(graph.signature, {"x": new}, ())
        return
    assert edge_dtypes(graph.signature, {"x": new}, ()) == (
        {} if before == _KINDS[new] else {"x": np.dtype(_KINDS[new])}
    )


def test_refitting_goes_through_the_edges_too(tmp_path: Path) -> None:
    """An engine that takes pictures takes the weights of a model that does not."""
    with fake_gpu("8.5.3"):
        _COLOURS.save(tmp_path / "a.onnx")
        onepass.build(tmp_path / "a.onnx", tmp_path / "a.engine", refit=True, picture_inputs={"image": "rgb"},
                      sizes={"N": 1, "H": 4, "W": 4})  # fmt: skip
        plan = refit(tmp_path / "a.engine", tmp_path / "a.onnx")
    assert str(plan.signature.inputs[0]) == "uint8 [N, H, W, 3]"


# ---- where it runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_an_accelerator(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builder and runtime are told of it, and of the GPU for the rest; which there are is said."""
    graph = _dense()
    with fake_gpu(api) as (_, trt):
        with pytest.raises(InputError, match=r"dla is 0, but tensorrt .* finds no accelerators"):
            plan_of(graph, batch=2, dla=0, precision="fp16")
        monkeypatch.setattr(trt.Builder, "num_DLA_cores", 2)
        with pytest.raises(InputError, match=r"dla is 2, but tensorrt .* finds 2 accelerators"):
            plan_of(graph, batch=2, dla=2, precision="fp16")
        plan = plan_of(graph, batch=2, dla=1, gpu_fallback=True, precision="fp16", sparsity=True)
        asked = trt.builds[-1]
        assert (asked["device"], asked["dla"]) == ("DLA", 1)
        assert {"GPU_FALLBACK", "SPARSE_WEIGHTS", "FP16"} <= set(asked["flags"])
        told: list[int] = []
        monkeypatch.setattr(trt.Runtime, "__setattr__", lambda runtime, name, value: (
            told.append(value) if name == "DLA_core" else object.__setattr__(runtime, name, value)))  # fmt: skip
        onepass.load(plan).close()
        assert told == [1]


def _dense() -> OnnxGraph:
    return model(f"(float[N, 4] x) => (float[N, 4] y) <float[4, 4] w = {{{', '.join(['0.5'] * 16)}}}> {{"
                 " h = MatMul (x, w) \n y = Relu (h) }")  # fmt: skip


@pytest.mark.parametrize(
    "option", [{"dla": 0, "precision": "fp16"}, {"dla": 0, "gpu_fallback": True, "precision": "fp16"}]
)
def test_accelerators_are_refused_where_there_are_none(option: dict[str, Any]) -> None:
    """TensorRT-RTX has the name, and no accelerator behind it."""
    with (
        fake_gpu("rtx-1.7.1"),
        pytest.raises(InputError, match="does not support dla; supported by full TensorRT, on a Jetson"),
    ):
        plan_of(_dense(), batch=2, **option)


@pytest.mark.parametrize("api", BUILDERS)
def test_best(api: str) -> None:
    """It is fp16 for a model without Q/DQ nodes, and fp16 and int8 for one with them; the sidecar says which."""
    quantized = model(
        f"(float[N, 4] x) => (float[N, 4] y) <float[4, 4] w = {{{', '.join(['0.5'] * 16)}}}, float s = {{0.1}}, "
        "int8 z = {0}> { q = QuantizeLinear (x, s, z) \n d = DequantizeLinear (q, s, z) \n h = MatMul (d, w)"
        " \n r = Relu (h) \n y = MatMul (r, w) }"
    )
    with fake_gpu(api):
        assert plan_of(_dense(), batch=2, precision="best").options["precision"] == ["fp16"]
        plan = plan_of(quantized, batch=2, precision="best")
        assert plan.options["precision"] == ["fp16", "int8"]
        assert BuildOptions.from_json(json.loads(json.dumps(plan.options))).precision == ("fp16", "int8")


def test_memory_that_is_laid_out_otherwise(tmp_path: Path) -> None:
    """An engine of another tool whose tensors lie in memory in TensorRT's own way is refused by name, not misread."""
    data = BY_NAME["three heads"].graph.to_bytes()
    layout = "Two wide channel vectorized row major FP16 format (kCHW2)"
    for api in ("8.5.3", "10.16.1"):
        with fake_gpu(api):
            (tmp_path / "a.engine").write_bytes(fake_engine(api, data, layouts={"zebra": layout}))
            with pytest.raises(UnsupportedModelError, match=r"has tensor 'zebra' in the layout Two wide .*\(kCHW2\)"):
                onepass.load(tmp_path / "a.engine")
            (tmp_path / "a.engine").write_bytes(fake_engine(api, data))
            onepass.load(tmp_path / "a.engine").close()
