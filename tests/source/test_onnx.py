"""ONNX in, ONNX out; and what is the same for every framework."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onepass
from onepass import (
    InputError,
    ModelFormatError,
    ModelNotFoundError,
    OnnxGraph,
    OutputNameError,
    ParityError,
    UnsupportedModelError,
)
from onepass.source.framework import Framework
from tests.source.networks import Pretended, graph_of, two_heads
from tests.zoo import model


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    """Names, order and dtypes are the source's, and every output is exact."""
    source = two_heads(tmp_path / "in.onnx")
    conversion = onepass.convert(source, tmp_path / "out.onnx")
    graph = OnnxGraph.load(tmp_path / "out.onnx")
    assert graph.signature == conversion.signature
    assert graph.signature.output_names == ("wide", "narrow")
    assert [error.name for error in conversion.errors] == ["wide", "narrow"]
    assert all(error.max_abs < 1e-6 for error in conversion.errors)


def test_an_older_opset_is_brought_up_to_date(tmp_path: Path) -> None:
    """A model in opset 11 becomes one in the opset asked for; a newer one stays, or is refused if less is asked for."""
    source = two_heads(tmp_path / "in.onnx", opset=11)
    onepass.convert(source, tmp_path / "out.onnx", opset=17)
    assert OnnxGraph.load(tmp_path / "out.onnx").opset == 17
    newer = two_heads(tmp_path / "newer.onnx", opset=19)
    onepass.convert(newer, tmp_path / "again.onnx")
    assert OnnxGraph.load(tmp_path / "again.onnx").metadata["onepass.opset"] == "19"
    with pytest.raises(InputError, match=r"newer\.onnx uses opset 19, which cannot be converted down to 13"):
        onepass.convert(newer, tmp_path / "older.onnx", opset=13)
    assert not (tmp_path / "older.onnx").exists()


def test_some_outputs_under_new_names(tmp_path: Path) -> None:
    """`outputs` keeps some, in the order given, each once; `output_names` names them."""
    source = two_heads(tmp_path / "in.onnx")
    result = onepass.convert(source, tmp_path / "out.onnx", outputs=["narrow", "wide"], output_names=["b", "a"])
    assert result.signature.output_names == ("b", "a")
    result = onepass.convert(source, tmp_path / "once.onnx", outputs=["narrow", "wide", "narrow"])
    assert result.signature.output_names == ("narrow", "wide")
    result = onepass.convert(source, tmp_path / "same.onnx", output_names=["wide", "thin"])
    assert result.signature.output_names == ("wide", "thin")
    result = onepass.convert(source, tmp_path / "one.onnx", outputs="narrow")
    assert result.signature.output_names == ("narrow",)


def test_wrong_requests(tmp_path: Path) -> None:
    """What does not fit is told by its name, and nothing is written."""
    source = two_heads(tmp_path / "in.onnx")
    target = tmp_path / "out.onnx"
    with pytest.raises(OutputNameError, match=r"no output 'narow'\. Did you mean 'narrow'"):
        onepass.convert(source, target, outputs=["narow"])
    with pytest.raises(
        InputError, match=r"output_names: expected one unique name per output \(wide, narrow\), got 1: a"
    ):
        onepass.convert(source, target, output_names=["a"])
    for name in ("", 1):
        with pytest.raises(InputError, match=f"output_names: expected non-empty strings, got {name!r}"):
            onepass.convert(source, target, output_names=["a", name])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"outputs=\[\] selects nothing; the network has wide, narrow"):
        onepass.convert(source, target, outputs=[])
    with pytest.raises(InputError, match="output 'narrow' cannot be named 'x', which is an input"):
        onepass.convert(source, target, outputs=["narrow"], output_names=["x"])
    with pytest.raises(
        InputError,
        match=r"^output_names= would rename output 'wide' to 'narrow', .* use outputs=\['narrow', 'wide'\]$",
    ):
        onepass.convert(source, target, output_names=["narrow", "wide"])
    with pytest.raises(InputError, match="output 'wide' cannot be named 'narrow', which is another output"):
        onepass.convert(source, target, output_names=["narrow", "new"])
    with pytest.raises(InputError, match="opset must be a whole number from 7 to"):
        onepass.convert(source, target, opset=3)
    with pytest.raises(InputError, match=r"^ONNX sources do not support signature=; omit it"):
        onepass.convert(source, target, signature="serving_default")
    with pytest.raises(ModelNotFoundError, match=r"no model file at .*absent\.onnx"):
        onepass.convert(tmp_path / "absent.onnx", target)
    with pytest.raises(InputError, match=r"in\.onnx is the source itself"):
        onepass.convert(source, source)
    with pytest.raises(InputError, match=r"the folder .*absent does not exist; create it first"):
        onepass.convert(source, tmp_path / "absent" / "out.onnx")
    with pytest.raises(InputError, match=r"is a folder; expected the path of a new file, such as .*model\.onnx"):
        onepass.convert(source, tmp_path)
    with pytest.raises(InputError, match="an object of type int is not a network; expected a path"):
        onepass.convert(3, target)
    with pytest.raises(InputError, match="the class dict is not a network"):
        onepass.convert(dict, target)
    with pytest.raises(InputError, match="target must be 'tensorrt' or None"):
        onepass.convert(source, target, target="trt")  # type: ignore[arg-type]
    (tmp_path / "cut.onnx").write_bytes(source.read_bytes()[:-40])
    with pytest.raises(ModelFormatError, match="truncated"):
        onepass.convert(tmp_path / "cut.onnx", target)
    assert not target.exists()


def _pretend(monkeypatch: pytest.MonkeyPatch, runs: OnnxGraph, exports: OnnxGraph) -> None:
    monkeypatch.setattr(Framework, "open_", lambda self, source, request: Pretended(runs, exports))


def test_outputs_in_another_order_are_put_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter may shuffle outputs; the order is the source's all the same."""
    source = two_heads(tmp_path / "in.onnx")
    graph = OnnxGraph.load(source)
    _pretend(monkeypatch, graph, graph.select(["narrow", "wide"]))
    assert onepass.convert(source, tmp_path / "out.onnx").signature.output_names == ("wide", "narrow")


def test_an_exporter_that_takes_one_output_for_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity names the output and the likely cause, and what stood at the target stays."""
    source = two_heads(tmp_path / "in.onnx")
    graph = OnnxGraph.load(source)
    swapped = graph.rename_outputs({"wide": "w"}).rename_outputs({"narrow": "wide"}).rename_outputs({"w": "narrow"})
    _pretend(monkeypatch, graph, swapped)
    target = tmp_path / "out.onnx"
    target.write_bytes(b"former")
    with pytest.raises(
        ParityError, match=r"output 'wide' differs .* at \[\d, \d\] on random 0.*confused it with 'narrow'"
    ):
        onepass.convert(source, target)
    assert target.read_bytes() == b"former"
    onepass.convert(source, target, verify=False)
    assert OnnxGraph.load(target).signature.output_names == ("wide", "narrow")


def test_options_are_looked_at_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a long export to hear of a name that is not there."""
    source = two_heads(tmp_path / "in.onnx")
    trained = Pretended(OnnxGraph.load(source), OnnxGraph.load(source))
    monkeypatch.setattr(trained, "export", lambda opset: pytest.fail("the network was exported"))
    monkeypatch.setattr(Framework, "open_", lambda self, source, request: trained)
    with pytest.raises(InputError, match="channels_first: the model has no input or output 'eye'"):
        onepass.convert(source, tmp_path / "out.onnx", channels_first="eye")


def test_a_network_that_draws_random_numbers(tmp_path: Path) -> None:
    """It is never the same twice; the message says so."""
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["noise"]), helper.make_node("Add", ["x", "noise"], ["y"])]
    graph_of(nodes, {"x": ["N", 4]}, {"y": ["N", 4]}).save(tmp_path / "in.onnx")
    with pytest.raises(ParityError, match=r"draws random numbers \(RandomNormalLike\)"):
        onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx")


def test_a_weight_that_is_one_percent_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error far below what one sees in a picture is found."""
    source = two_heads(tmp_path / "in.onnx")
    graph = OnnxGraph.load(source)
    changed = OnnxGraph.load(source)
    weight = changed.proto.graph.initializer[0]
    weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * np.float32(1.01)).tobytes()
    _pretend(monkeypatch, graph, changed)
    with pytest.raises(ParityError, match="output 'wide' differs by"):
        onepass.convert(source, tmp_path / "out.onnx")


def test_an_input_of_unknown_rank(tmp_path: Path) -> None:
    """ONNX's own checker asks for a rank; the message says which input has none."""
    graph = OnnxGraph.load(two_heads(tmp_path / "in.onnx"))
    graph.proto.graph.input[0].type.tensor_type.ClearField("shape")
    graph.save(tmp_path / "in.onnx")
    with pytest.raises(UnsupportedModelError, match="the rank of its input 'x'"):
        onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", verify=False)


def test_a_network_over_two_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one message cannot hold is converted with its weights in a file, and lies beside the model in the end."""
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((40, 40)).astype(np.float32) for name in ("a", "b")}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Transpose", ["b"], ["turned"]),
        helper.make_node("MatMul", ["h", "turned"], ["y"]),
    ]
    graph_of(nodes, {"x": ["N", 40]}, {"y": ["N", 40], "h": ["N", 40]}, weights).save(tmp_path / "in.onnx")
    monkeypatch.setattr("onepass.graph.model._PROTOBUF_LIMIT_BYTES", 8000)
    monkeypatch.setattr("onepass.runtime.onnxruntime.sessions.LARGE_BYTES", 8000)
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", output_names=["z", "inner"])
    assert done.signature.output_names == ("z", "inner")
    (beside,) = tmp_path.glob("out.onnx.*.data")
    assert (tmp_path / "out.onnx").stat().st_size < 8000 <= beside.stat().st_size
    x = rng.standard_normal((3, 40)).astype(np.float32)
    with onepass.load(tmp_path / "out.onnx") as session:
        np.testing.assert_allclose(session(x=x)["z"], x @ weights["a"] @ weights["b"].T, rtol=1e-3, atol=1e-3)


def test_what_was_not_chosen_may_be_anything(tmp_path: Path) -> None:
    """A chosen output converts beside operators that ONNX Runtime lacks, sizes that it refuses, and inputs of any kind.

    Examples of inputs that are then not needed are taken all the same.
    """
    graph = model(
        "(float[N, T] x, float[N] w, seq(float[N]) s) => "
        "(float[N, T] y, float[A, 77, B] odd, float[N] first, float[N] v) "
        "<int64[3] shape = {0, 77, -1}, int64 zero = {0}> { y = Neg (x) \n odd = Reshape (x, shape) \n "
        "first = SequenceAt (s, zero) \n v = Exp (w) }"
    )
    graph.proto.graph.node.add(op_type="Mystery", domain="my.ops", input=["w"], output=["m"])
    graph.proto.graph.output.add(name="m").type.tensor_type.elem_type = 1
    graph.proto.opset_import.add(domain="my.ops", version=1)
    graph.save(tmp_path / "in.onnx")
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", outputs=["v", "y"])
    assert str(done.signature) == (
        "inputs:\n  x: float32 [N, T]\n  w: float32 [N]\noutputs:\n  v: float32 [N]\n  y: float32 [N, T]"
    )
    example = {"x": np.ones((2, 3), np.float32), "w": np.ones(2, np.float32)}
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", outputs="y", example_inputs=example)
    assert done.signature.input_names == ("x",)
