"""Inputs that networks are tried on: one size a name, given ones, and made-up ones that the network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import ConversionError, InputError, OnnxGraph, UnsupportedModelError
from onepass.outputs import Array
from tests.zoo import model

_RNG = np.random.default_rng(0)


def _with(text: str, **weights: Array) -> OnnxGraph:
    graph = OnnxGraph(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> zoo {text}'))
    graph.proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    return graph


# A recurrent state has its batch second, graphs have one size twice, sequences may come before the batch.
ELSEWHERE = {
    "state": "(float[batch, time] x, float[2, batch, 4] h) => (float[batch, time] y, float[2, batch, 4] h2) "
    "{ y = Neg (x) \n h2 = Tanh (h) }",
    "graph": "(float[N, 3] x, float[N, N] a) => (float[N, 3] y) { y = MatMul (a, x) }",
    "mask": "(float[N, T, 4] x, float[N, T, T] m) => (float[N, T, 4] y) { y = MatMul (m, x) }",
    "time first": "(float[T, N, 4] x, float[N, 4] h) => (float[T, N, 4] y) { y = Add (x, h) }",
    "diagonal": "(float[N, N] a) => (float[N, N] y) { y = Neg (a) }",
}


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("batch", [None, "dynamic", 4])
def test_a_batch_on_any_axis(text: str, batch: Any, tmp_path: Path) -> None:
    """A size has its name, or its number, wherever that is; what came out converts again."""
    graph = model(text)
    graph.save(tmp_path / "in.onnx")
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", batch=batch)
    expected = {
        spec.name: tuple(4 if batch == 4 and dim in ("N", "batch") else dim for dim in spec.shape or ())
        for spec in (*graph.signature.inputs, *graph.signature.outputs)
    }
    assert {spec.name: spec.shape for spec in (*done.signature.inputs, *done.signature.outputs)} == expected
    again = onepass.convert(tmp_path / "out.onnx", tmp_path / "again.onnx")
    assert again.signature == done.signature


@given(dims=st.lists(st.sampled_from(["N", "T", "3"]), min_size=1, max_size=3), places=st.permutations([0, 1, 2]))
def test_any_mixture_of_axes(tmp_path_factory: pytest.TempPathFactory, dims: list[str], places: list[int]) -> None:
    """Whatever sizes have names, and wherever, inputs of one size for each name are made up, and a batch is set."""
    other = [dims[place] for place in places if place < len(dims)]
    first, second = (", ".join(each) for each in (dims, other))
    graph = model(f"(float[{first}] x, float[{second}] y) => (float[{first}] a, float[{second}] b) "
                  "{ a = Neg (x) \n b = Abs (y) }")  # fmt: skip
    folder = tmp_path_factory.mktemp("mixture")
    graph.save(folder / "in.onnx")
    done = onepass.convert(folder / "in.onnx", folder / "out.onnx", batch=2 if "N" in dims else None)
    assert all("N" not in (spec.shape or ()) for spec in (*done.signature.inputs, *done.signature.outputs))


POSITIONS = (
    "(float[N, T, 4] x) => (float[N, T, 4] y) <int64[1] z = {0}, int64[1] one = {1}> "
    "{ s = Shape <start = 1, end = 2> (x) \n q = Slice (p, z, s, one) \n y = Add (x, q) }"
)
PIECES = "(float[N, T] x) => (float[N, rest, 7] y) <int64[3] s = {0, -1, 7}> { y = Reshape (x, s) }"
PICKY = {
    "short positions": lambda: _with(POSITIONS, p=np.ones((1, 6, 4), np.float32)),
    "one position": lambda: _with(POSITIONS, p=np.ones((1, 1, 4), np.float32)),
    "small vocabulary": lambda: _with("(int64[N, T] ids) => (float[N, T, 4] e) { e = Gather (t, ids) }",
                                      t=np.ones((3, 4), np.float32)),
    "a vocabulary of one": lambda: _with("(int32[N] ids) => (float[N, 4] e) { e = Gather (t, ids) }",
                                         t=np.ones((1, 4), np.float32)),
    "divided by seven": lambda: model(PIECES),
    "divided by five": lambda: model(PIECES.replace("7", "5")),
    "one at a time": lambda: model("(float[N, 3] x) => (float[3] y) <int64[1] s = {3}> { y = Reshape (x, s) }"),
}  # fmt: skip


@pytest.mark.parametrize("make", PICKY.values(), ids=PICKY)
def test_networks_that_do_not_take_everything(make: Any, tmp_path: Path) -> None:
    """Inputs that are made up get smaller until the network runs on them."""
    make().save(tmp_path / "in.onnx")
    assert onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx").errors


def test_the_message_says_what_was_made_up(tmp_path: Path) -> None:
    """Where nothing made up will do, the message says so, why, and how to give what will; and that does."""
    graph = model("(int64[2] shape, float[K] x) => (float[a, b] y) { y = Reshape (x, shape) }")
    graph.save(tmp_path / "in.onnx")
    with pytest.raises(ConversionError, match=r"(?s)cannot run the network on random inputs.*shape is int64 "
                       r"\[2\], x is float32 \[K\].*reshape.*example_inputs=\{'shape': …, 'x': …\}"):  # fmt: skip
        onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx")
    example = {"shape": np.array([2, 3]), "x": np.arange(6, dtype=np.float32)}
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", example_inputs=example)
    assert {error.name for error in done.errors} == {"y"}
    onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", example_inputs=list(example.values()))


def test_examples_of_some_inputs(tmp_path: Path) -> None:
    """What is given sizes the rest: a name has one size, and what is not given is made up."""
    graph = _with("(int64[N, T] ids, float[N, T] x) => (float[N, T] y) { g = Gather (t, ids) \n y = Add (g, x) }",
                  t=np.arange(40, dtype=np.float32))  # fmt: skip
    graph.save(tmp_path / "in.onnx")
    ids = np.array([[39, 3, 7], [1, 2, 3]])
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", example_inputs={"ids": ids})
    assert done.errors[0].max_abs == 0


@pytest.mark.parametrize(
    ("example", "words"),
    [
        ({"idz": np.zeros((1, 2), np.int64)}, "no input 'idz'. Did you mean 'ids'"),
        (np.zeros((1, 2), np.float32), r"input 'ids': expected int64 \[N, T\], got float32 \[1, 2\]"),
        (np.zeros(2, np.int64), r"input 'ids': expected int64 \[N, T\], got int64 \[2\]"),
        ([np.zeros((1, 2), np.int64)] * 2, "example_inputs has 2 arrays for 1 inputs: ids"),
    ],
)
def test_examples_that_do_not_fit(example: Any, words: str, tmp_path: Path) -> None:
    """An example that is none of this network is refused by name."""
    PICKY["small vocabulary"]().save(tmp_path / "in.onnx")
    with pytest.raises(InputError, match=words):
        onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", example_inputs=example)


def test_a_source_that_cannot_be_run_at_all(tmp_path: Path) -> None:
    """What no input would help with is told at once, as it is."""
    onnx.save(onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17, "mine": 1]> g (float[N] x) => (float[N] y) { y = mine.Op (x) }'
    ), tmp_path / "in.onnx")  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="mine"):
        onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize("kind", [list, str, object, "StringDType"])
def test_examples_of_strings(kind: Any, tmp_path: Path) -> None:
    """Strings are examples in every form that a call takes; what is none is refused with its place."""
    if kind == "StringDType" and not hasattr(np.dtypes, "StringDType"):
        pytest.skip("NumPy 2 has this type")
    model("(string[N] s, float[N] x) => (string[N] t, float[N] y) { t = Identity (s) \n y = Neg (x) }").save(
        tmp_path / "in.onnx"
    )
    texts: Any = ["a", "größe"]
    if kind is not list:
        texts = np.array(texts, np.dtypes.StringDType() if kind == "StringDType" else kind)
    done = onepass.convert(tmp_path / "in.onnx", tmp_path / "out.onnx", example_inputs={"s": texts})
    assert [each.name for each in done.errors] == ["t", "y"]
    with pytest.raises(InputError, match=r"input 's': got 3 \(int\) at \[1\]; expected only strings"):
        onepass.convert(tmp_path / "in.onnx", tmp_path / "no.onnx", example_inputs={"s": ["a", 3]})
