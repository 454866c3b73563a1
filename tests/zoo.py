"""A zoo of tiny ONNX models, each with what it must compute: every odd edge that a model with outputs can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from onepass import OnnxGraph

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Animal:
    """One model, inputs to run it on, and the function it computes, in NumPy.

    Attributes:
        name: What the test is called.
        graph: The model.
        cases: Inputs, each a mapping from name to array.
        reference: Takes one case, returns all outputs in the model's order.
        strict: Whether onnx.checker passes it; it wants a rank, which models in the wild do not always have.
    """

    name: str
    graph: OnnxGraph
    cases: tuple[Arrays, ...]
    reference: Callable[[Arrays], Arrays]
    strict: bool = True


def model(text: str, *, opset: int = 17, check: bool = True) -> OnnxGraph:
    """Return a model from the body of ONNX's text form, ``(inputs) => (outputs) { nodes }``; checked, if complete."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]> zoo {text}')
    graph = OnnxGraph(proto)
    if check:
        graph.check()
    return graph


def _x(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


def _heads() -> Animal:
    """Three heads on one trunk, declared in an order that is neither alphabetical nor that of computation."""
    graph = model(
        """
        (float[N, 4] x) => (float[N, 4] zebra, float[N] ant, float[N, 4] monkey) {
            ant = ReduceSum <keepdims = 0> (x, axes)
            monkey = Relu (x)
            zebra = Neg (x)
        }""".replace("{", "<int64[1] axes = {1}> {", 1)
    )
    return Animal(
        "three heads", graph, ({"x": _x(1, 4)}, {"x": _x(5, 4)}),
        lambda f: {"zebra": -f["x"], "ant": f["x"].sum(1), "monkey": np.maximum(f["x"], 0)},
    )  # fmt: skip


def _many() -> Animal:
    outputs = ", ".join(f"float[N] out{i}" for i in range(32))
    nodes = "\n".join(f"c{i} = Constant <value_float = {i}.0> ()\n out{i} = Add (x, c{i})" for i in range(32))
    return Animal(
        "32 outputs", model(f"(float[N] x) => ({outputs}) {{ {nodes} }}"), ({"x": _x(3)},),
        lambda f: {f"out{i}": f["x"] + np.float32(i) for i in range(32)},
    )  # fmt: skip


def _used_twice() -> Animal:
    graph = model("(float[N] x) => (float[N] b, float[N] a) { a = Relu (x) \n b = Add (a, a) }")
    return Animal(
        "an output that is also consumed", graph, ({"x": _x(6)},),
        lambda f: {"b": 2 * np.maximum(f["x"], 0), "a": np.maximum(f["x"], 0)},
    )  # fmt: skip


def _pass_through() -> Animal:
    graph = model("(float[N] x, int64[N] id) => (float[N] x, float[N] y, int64[N] id) { y = Neg (x) }")
    return Animal(
        "outputs that are inputs", graph, ({"x": _x(3), "id": np.arange(3)},),
        lambda f: {"x": f["x"], "y": -f["x"], "id": f["id"]},
    )  # fmt: skip


def _constant() -> Animal:
    graph = model("(float[N] x) => (float[N] y, float[2] w) <float[2] w = {1.5, -2.0}> { y = Neg (x) }")
    return Animal(
        "an output that is a weight", graph, ({"x": _x(3)},),
        lambda f: {"y": -f["x"], "w": np.array([1.5, -2], np.float32)},
    )  # fmt: skip


def _scalars() -> Animal:
    graph = model("(float s, float[N] x) => (float total, float[N] scaled) {"
                  " total = ReduceSum <keepdims = 0> (x) \n scaled = Mul (x, s) }")  # fmt: skip
    return Animal(
        "scalar input and output", graph, ({"s": np.array(2, np.float32), "x": _x(4)},),
        lambda f: {"total": f["x"].sum(), "scaled": f["x"] * f["s"]},
    )  # fmt: skip


def _zero_size() -> Animal:
    graph = model("(float[N, 4] x) => (float[N, 0] nothing, float[N, 4] y)"
                  " <int64[1] at = {4}, int64[1] end = {9}, int64[1] axis = {1}>"
                  " { nothing = Slice (x, at, end, axis) \n y = Neg (x) }")  # fmt: skip
    return Animal(
        "an output of size zero", graph, ({"x": _x(2, 4)},), lambda f: {"nothing": f["x"][:, 4:9], "y": -f["x"]}
    )


def _zero_size_input() -> Animal:
    graph = model("(float[2, 0] x, float[2, K] y) => (float[2, M] z) { z = Concat <axis = 1> (x, y) }")
    return Animal(
        "inputs of size zero", graph, ({"x": _x(2, 0), "y": _x(2, 3)}, {"x": _x(2, 0), "y": _x(2, 0)}),
        lambda f: {"z": np.concatenate([f["x"], f["y"]], 1)},
    )  # fmt: skip


# Name in ONNX's text form, number for Cast, NumPy dtype, opset that has it.
_CASTS: tuple[tuple[str, int, Any, int], ...] = (
    ("int64", 7, np.int64, 17), ("int32", 6, np.int32, 17), ("int16", 5, np.int16, 17), ("int8", 3, np.int8, 17),
    ("uint8", 2, np.uint8, 17), ("uint16", 4, np.uint16, 17), ("uint32", 12, np.uint32, 17),
    ("uint64", 13, np.uint64, 17), ("bool", 9, np.bool_, 17), ("float16", 10, np.float16, 17),
    ("double", 11, np.float64, 17), ("bfloat16", 16, ml_dtypes.bfloat16, 17),
    ("float8e4m3fn", 17, ml_dtypes.float8_e4m3fn, 19), ("float8e5m2", 19, ml_dtypes.float8_e5m2, 19),
)  # fmt: skip


def _cast_out(name: str, number: int, dtype: Any, opset: int) -> Animal:
    graph = model(
        f"(float[N, 3] x) => ({name}[N, 3] y, float[N, 3] x2) {{ y = Cast <to = {number}> (x) \n x2 = Add (x, x) }}",
        opset=opset,
    )
    case = {"x": np.array([[0, 1, 2], [3, 0.5, 100]], np.float32)}
    return Animal(f"output {name}", graph, (case,), lambda f: {"y": f["x"].astype(dtype), "x2": 2 * f["x"]})


def _cast_in(name: str, dtype: Any, opset: int) -> Animal:
    graph = model(f"({name}[N, 3] x) => (float[N, 3] y) {{ y = Cast <to = 1> (x) }}", opset=opset)
    case = {"x": np.array([[0, 1, 2], [3, 1, 100]]).astype(dtype)}
    return Animal(f"input {name}", graph, (case,), lambda f: {"y": f["x"].astype(np.float32)})


def _dynamic(rank: int) -> Animal:
    dims = "[" + ", ".join("ABC"[:rank]) + "]" if rank else ""
    graph = model(f"(float{dims} x) => (float{dims} y) {{ y = Abs (x) }}")
    shapes: tuple[tuple[int, ...], ...] = (tuple(range(1, rank + 1)), tuple(range(rank + 1, 1, -1)))
    cases = tuple({"x": np.asarray(_x(*shape), np.float32)} for shape in shapes)
    return Animal(f"dynamic, rank {rank}", graph, cases, lambda f: {"y": np.abs(f["x"])})


def _unknown_rank() -> Animal:
    graph = model("(float[N] x) => (float[N] y) { y = Abs (x) }")
    for value in (graph.proto.graph.input[0], graph.proto.graph.output[0]):
        value.type.tensor_type.ClearField("shape")
    cases = ({"x": _x(2)}, {"x": _x(2, 3)}, {"x": np.asarray(_x(), np.float32)})
    return Animal("unknown rank", graph, cases, lambda f: {"y": np.abs(f["x"])}, strict=False)


def _nonzero() -> Animal:
    graph = model("(float[N, 3] x) => (int64[2, K] where, float[N, 3] y) { y = Relu (x) \n where = NonZero (y) }")
    cases = tuple({"x": x} for x in (_x(4, 3), -np.ones((2, 3), np.float32), _x(1, 3, seed=3)))
    return Animal(
        "data-dependent shape", graph, cases,
        lambda f: {"where": np.stack(np.nonzero(f["x"] > 0)).astype(np.int64), "y": np.maximum(f["x"], 0)},
    )  # fmt: skip


def _static() -> Animal:
    graph = model("(float[3, 2] x) => (float[2, 3] y, float[3, 2] z) { y = Transpose (x) \n z = Neg (x) }")
    return Animal("no batch dimension", graph, ({"x": _x(3, 2)},), lambda f: {"y": f["x"].T, "z": -f["x"]})


def _two_inputs() -> Animal:
    graph = model("(float[N, 2] a, float[N, 3] b) => (float[N, 5] ab, float[N, 2] a2)"
                  " { ab = Concat <axis = 1> (a, b) \n a2 = Add (a, a) }")  # fmt: skip
    return Animal(
        "two inputs, one batch", graph, ({"a": _x(2, 2), "b": _x(2, 3)},),
        lambda f: {"ab": np.concatenate([f["a"], f["b"]], 1), "a2": 2 * f["a"]},
    )  # fmt: skip


def _odd_names() -> Animal:
    graph = model("(float[N] x) => (float[N] a, float[N] b, float[N] c, float[N] d)"
                  " { a = Neg (x) \n b = Abs (x) \n c = Relu (x) \n d = Add (x, x) }")  # fmt: skip
    graph = graph.rename_outputs({"a": "scope/head:0", "b": "items", "c": "class", "d": "größe 中"})
    return Animal(
        "names that are no identifiers", graph, ({"x": _x(3)},),
        lambda f: {"scope/head:0": -f["x"], "items": np.abs(f["x"]), "class": np.maximum(f["x"], 0),
                   "größe 中": 2 * f["x"]},
    )  # fmt: skip


def _branch() -> Animal:
    graph = model("""
        (bool flag, float[N] x) => (float[N] y, float[N] z) {
            h = Abs (x)
            y = If (flag) <
                then_branch = yes () => (float[N] t) { t = Neg (h) },
                else_branch = no () => (float[N] e) { e = Add (h, h) }
            >
            z = Relu (x)
        }""")
    return Animal(
        "a branch that reads the outer graph", graph,
        tuple({"flag": np.array(flag), "x": _x(4)} for flag in (True, False)),
        lambda f: {"y": -np.abs(f["x"]) if f["flag"] else 2 * np.abs(f["x"]), "z": np.maximum(f["x"], 0)},
    )  # fmt: skip


def _loop() -> Animal:
    graph = model("""
        (int64 n, bool go, float[2] x) => (float[2] y, float[2] v) {
            v = Neg (x)
            y = Loop (n, go, x) <body = step (int64 i, bool on, float[2] v) => (bool goes_on, float[2] next) {
                goes_on = Identity (on)
                inner = Add (v, v)
                next = Identity (inner)
            }>
        }""")
    case = {"n": np.array(2), "go": np.array(True), "x": np.array([1, -2], np.float32)}
    return Animal("a loop that shadows an output", graph, (case,), lambda f: {"y": 4 * f["x"], "v": -f["x"]})


def _no_input() -> Animal:
    graph = model("() => (float[2] y) { y = Constant <value_floats = [1.0, 2.0]> () }")
    return Animal("no input at all", graph, ({},), lambda _: {"y": np.array([1, 2], np.float32)})


def _strings(dims: str, *shapes: tuple[int, ...]) -> Animal:
    graph = model(f"(string{dims} s, float[N] x) => (string{dims} t, float[N] y) {{ t = Identity (s) \n y = Neg (x) }}")
    texts = np.array(["", "größe 中", "a longer one, with a comma", "x"] * 3, object)
    cases = tuple({"s": texts[: int(np.prod(shape))].reshape(shape), "x": _x(2)} for shape in shapes)
    return Animal(f"strings {dims}".strip(), graph, cases, lambda f: {"t": f["s"], "y": -f["x"]})


def _labels() -> Animal:
    graph = model("""
        (float[N, 3] x) => (string[N] label, float[N, 3] prob) <string[3] names = {"cat", "dog", "owl"}> {
            best = ArgMax <axis = 1, keepdims = 0> (x)
            label = Gather (names, best)
            prob = Softmax (x)
        }""")
    names = np.array(["cat", "dog", "owl"], object)

    def computed(f: Arrays) -> Arrays:
        shares = np.exp(f["x"]) / np.exp(f["x"]).sum(1, keepdims=True)
        return {"label": names[f["x"].argmax(1)], "prob": shares.astype(np.float32)}

    return Animal("class labels beside numbers", graph, ({"x": _x(4, 3)}, {"x": _x(1, 3, seed=3)}), computed)


def _listed_twice() -> Animal:
    graph = model("(float[N] x) => (float[N] y, float[N] z) { y = Neg (x) \n z = Abs (x) }")
    graph.proto.graph.output.append(graph.proto.graph.output[0])
    return Animal(
        "an output that is listed twice", graph, ({"x": _x(3)},), lambda f: {"y": -f["x"], "z": np.abs(f["x"])}
    )


def _false_names() -> Animal:
    graph = model("(float[A, 3, B] x) => (float[A, 3, B] y) { y = Neg (x) }")
    for value in (*graph.proto.graph.input, *graph.proto.graph.output):
        for dim in (value.type.tensor_type.shape.dim[0], value.type.tensor_type.shape.dim[2]):
            dim.dim_param = "?"
    return Animal(
        "unknown sizes of one false name", graph, ({"x": _x(1, 3, 5)}, {"x": _x(2, 3, 2)}), lambda f: {"y": -f["x"]}
    )


def _not_first() -> Animal:
    graph = model("(float[batch, time] x, float[2, batch, 4] state) => (float[2, batch, 4] next, float[batch, time] y)"
                  " { y = Neg (x) \n next = Abs (state) }")  # fmt: skip
    return Animal(
        "a batch that is not first", graph, ({"x": _x(3, 5), "state": _x(2, 3, 4)},),
        lambda f: {"next": np.abs(f["state"]), "y": -f["x"]},
    )  # fmt: skip


ZOO: tuple[Animal, ...] = (
    _heads(), _many(), _used_twice(), _pass_through(), _constant(), _scalars(), _zero_size(), _zero_size_input(),
    *(_cast_out(*row) for row in _CASTS), *(_cast_in(name, dtype, opset) for name, _, dtype, opset in _CASTS),
    *(_dynamic(rank) for rank in range(4)), _unknown_rank(), _nonzero(), _static(), _two_inputs(), _odd_names(),
    _branch(), _loop(), _no_input(), _labels(), _strings("", ()), _strings("[M]", (2,), (3,)),
    _strings("[A, B]", (2, 3), (0, 3)), _listed_twice(), _false_names(), _not_first(),
)  # fmt: skip

BY_NAME: Mapping[str, Animal] = {animal.name: animal for animal in ZOO}


def sequence_model() -> OnnxGraph:
    """Return a model with a sequence beside two tensors, which onepass leaves out."""
    return model("(float[N] x) => (float[N] y, seq(float[N]) s, float[N] z)"
                 " { y = Neg (x) \n s = SequenceConstruct (x, y) \n z = Abs (x) }")  # fmt: skip
