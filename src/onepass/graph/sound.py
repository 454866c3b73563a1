"""Whether a model holds together as far as readers take for granted: native parsers end the process where it does not.

ONNX's own checker knows the standard's operators only, and refuses models that run, with a plugin's nodes, say. What is
looked at here are the promises that all readers rely on: a node has its inputs and outputs, an attribute holds what its
type says, names are text, functions do not call themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import onnx
from google.protobuf.message import Error as ProtobufError
from onnx import shape_inference
from onnx.external_data_helper import uses_external_data

from onepass._errors import ModelFormatError
from onepass.graph.nodes import subgraphs

# protobuf refuses messages in messages beyond a depth of 100, of which a graph in a node takes three.
_DEEPEST = 32
_MOST_ELEMENTS = 1 << 62
_MANY = 1 << 31
_TYPES = frozenset(onnx.TensorProto.DataType.values())
_NO_TYPE = "which ONNX does not have"
_STANDARD = ("", "ai.onnx")
_GRAPHS = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
# Operators that ONNX Runtime (1.32) knows by the name alone when it optimises: it reads the second input of any node of
# that name, of whatever domain, and ends the process where there is none.
_MISTAKEN = frozenset({"Add", "Mul", "Gather"})
_SINGLE = {"TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "sparse_tensor", "TYPE_PROTO": "tp"}
_ONNX_ERRORS = (
    onnx.checker.ValidationError, shape_inference.InferenceError, ProtobufError, UnicodeError, RecursionError,
    ValueError, TypeError, RuntimeError,
)  # fmt: skip


def check_sound(model: onnx.ModelProto, *, name: str = "the model") -> None:
    """Refuse a model that breaks what its readers take for granted.

    Args:
        model: The whole model: its graph, graphs inside nodes, and functions are looked at.
        name: What to call it in an error.

    Raises:
        ModelFormatError: It does; the message says which node, and what is wrong with it.
    """
    try:
        problem = next(_problems(model), None)
    except UnicodeError as error:  # what some versions of protobuf make of bytes that are no text, others leave them
        problem = f"a name in it is no text ({error})"
    if problem is not None:
        raise ModelFormatError(f"{name} is not a sound ONNX model: {problem}. Export it again")


def doubt_of(model: onnx.ModelProto) -> str:
    """Return what ONNX says against the types and shapes in a model, nothing if it says nothing.

    Models that run and build may still break what it says.
    """
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except _ONNX_ERRORS as error:
        return str(error).strip()
    return ""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what ONNX's own functions raise over a model into an error of ours.

    Args:
        doing: What is not possible: ``"the types of its tensors cannot be inferred"``.

    Raises:
        ModelFormatError: The block raised one of ONNX's or protobuf's errors.
    """
    try:
        yield
    except _ONNX_ERRORS as error:
        raise ModelFormatError(f"the model breaks the ONNX specification: {doing}: {error}") from error


def _problems(model: onnx.ModelProto) -> Iterator[str]:
    texts = [model.producer_name, model.producer_version, model.doc_string, model.graph.name]
    texts += [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    yield from _text_problems(texts, "its metadata")
    opset = max((entry.version for entry in model.opset_import if entry.domain in _STANDARD), default=0)
    yield from _graph_problems(model.graph, "", opset, 0)
    for function in model.functions:
        where = f" of function {function.name!r}"
        yield from _text_problems((function.name, function.domain, *function.input, *function.output), where[4:])
        yield from _node_problems(function.node, where, opset, 0)
    yield from _circles(model)


def _graph_problems(graph: onnx.GraphProto, where: str, opset: int, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield f"graphs lie in graphs, more than {_DEEPEST} deep"
        return
    for tensor in graph.initializer:
        yield from _tensor_problems(tensor, f"weight {tensor.name!r}{where}")
    for sparse in graph.sparse_initializer:
        yield from _sparse_problems(sparse, f"sparse weight {sparse.values.name!r}{where}")
    for kind, values in (("input", graph.input), ("output", graph.output), ("tensor", graph.value_info)):
        for value in values:
            if not value.name:
                yield f"an {kind}{where} has no name" if kind != "tensor" else f"a {kind}{where} has no name"
            dims = value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ()
            element = value.type.tensor_type.elem_type
            if element not in _TYPES:
                yield f"{kind} {value.name!r}{where} has the element type {element}, {_NO_TYPE}"
            yield from _text_problems((value.name, *(dim.dim_param for dim in dims)), f"{kind} {value.name!r}{where}")
    yield from _node_problems(graph.node, where, opset, depth)


def _node_problems(nodes: Iterable[onnx.NodeProto], where: str, opset: int, depth: int) -> Iterator[str]:
    made = set[str]()
    for index, node in enumerate(nodes):
        this = f"node {node.name or index!r}{where} ({node.op_type})"
        yield from _text_problems((node.name, node.op_type, node.domain, *node.input, *node.output), this)
        if not node.op_type:
            yield f"{this} names no operator"
        outputs = [name for name in node.output if name]
        if not outputs:
            yield f"{this} has no outputs"
        if len(made.union(outputs)) < len(made) + len(outputs):
            yield f"{this} has an output of a name that another one has"
        made.update(outputs)
        yield from _arity_problems(node, this, opset)
        names = [attribute.name for attribute in node.attribute]
        if not all(names) or len(set(names)) < len(names):
            yield f"{this} has attributes without a name, or two of one name: {', '.join(map(repr, names))}"
        for attribute in node.attribute:
            yield from _attribute_problems(attribute, this)
        yield from _inner_problems(node, this, where, opset, depth)


def _inner_problems(node: onnx.NodeProto, this: str, where: str, opset: int, depth: int) -> Iterator[str]:
    if node.op_type in _GRAPHS and node.domain in _STANDARD:
        for wanted in _GRAPHS[node.op_type]:
            if not any(each.name == wanted and each.HasField("g") for each in node.attribute):
                yield f"{this} has no graph {wanted!r}"
        if not all(inner.output for inner in subgraphs(node)):
            yield f"{this} has an inner graph without outputs"
    for inner in subgraphs(node):
        yield from _graph_problems(inner, where or f" in {this}", opset, depth + 1)


def _arity_problems(node: onnx.NodeProto, this: str, opset: int) -> Iterator[str]:
    """Look whether a node of a standard operator has as many inputs and outputs as that takes and gives."""
    arity = _arity(node.op_type, opset) if node.domain in _STANDARD and opset > 0 else None
    for what, names in (("inputs", node.input), ("outputs", node.output)):
        least, most = (0, _MANY) if arity is None else arity[what]
        if arity is None and what == "inputs" and node.op_type in _MISTAKEN:
            least = 2
        if not least <= len(names) <= most:
            yield f"{this} has {len(names)} {what}, which in opset {opset} are {least}" + f" to {most}" * (most > least)


@lru_cache(maxsize=512)
def _arity(operator: str, opset: int) -> dict[str, tuple[int, int]] | None:
    """Return the least and the greatest number of inputs and of outputs; None for an operator of a plugin, say."""
    try:
        schema = onnx.defs.get_schema(operator, min(opset, 1 << 30), "")
    except onnx.defs.SchemaError:
        return None
    return {"inputs": (schema.min_input, schema.max_input), "outputs": (schema.min_output, schema.max_output)}


def _attribute_problems(attribute: onnx.AttributeProto, this: str) -> Iterator[str]:
    kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
    field = _SINGLE.get(kind)
    if field is not None and not attribute.HasField(field) and not attribute.ref_attr_name:
        yield f"{this} has an attribute {attribute.name!r} of type {kind} that holds none"
    for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
        yield from _tensor_problems(tensor, f"attribute {attribute.name!r} of {this}")
    single = (attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()
    for sparse in (*single, *attribute.sparse_tensors):
        yield from _sparse_problems(sparse, f"attribute {attribute.name!r} of {this}")


def _sparse_problems(sparse: onnx.SparseTensorProto, this: str) -> Iterator[str]:
    for tensor in (sparse.values, sparse.indices):
        yield from _tensor_problems(tensor, this)
        if uses_external_data(tensor):
            yield f"{this} has its numbers in another file, which sparse tensors cannot"


def _tensor_problems(tensor: onnx.TensorProto, this: str) -> Iterator[str]:
    yield from _text_problems((tensor.name,), this)
    if tensor.data_type not in _TYPES:
        yield f"{this} has the element type {tensor.data_type}, {_NO_TYPE}"
    elif any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > _MOST_ELEMENTS:
        yield f"{this} has the shape {list(tensor.dims)[:8]}, which no memory holds"


def _text_problems(texts: Iterable[object], this: str) -> Iterator[str]:
    for text in texts:
        if not isinstance(text, str):  # protobuf hands out the bytes where they are no UTF-8
            yield f"a name of {this} is no text: {text!r}"


def _circles(model: onnx.ModelProto) -> Iterator[str]:
    """Say of functions that call themselves, perhaps by way of others."""
    domains: dict[str, list[tuple[str, str]]] = {}
    for function in model.functions:
        domains.setdefault(function.name, []).append((function.domain, function.name))
    calls = {(each.domain, each.name): _called(each.node, domains) for each in model.functions}
    while calls:  # those that call nothing that is left are no part of a circle
        free = [key for key, called in calls.items() if not called & calls.keys()]
        if not free:
            domain, name = min(calls)
            yield f"function {name!r} of domain {domain!r} calls itself, perhaps by way of others"
            return
        for key in free:
            del calls[key]


def _called(nodes: Iterable[onnx.NodeProto], domains: dict[str, list[tuple[str, str]]]) -> set[tuple[str, str]]:
    """Return the functions that nodes call: those of their domain or, of an operator nobody has, of any.

    TensorRT's parser goes by the name alone where it does not know an operator.
    """
    found = set[tuple[str, str]]()
    for node in nodes:
        named = domains.get(node.op_type, ())
        exact = [key for key in named if key[0] == node.domain]
        found.update(exact or (() if node.domain in _STANDARD and onnx.defs.has(node.op_type) else named))
        for inner in subgraphs(node):
            found.update(_called(inner.node, domains))
    return found
