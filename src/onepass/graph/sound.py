"""Check the invariants that every reader of a model relies on: if one is violated, native parsers crash the process.

ONNX's own checker knows only standard operators, and rejects models that run, such as those with plugin nodes. This
module checks that nodes have inputs and outputs, that attributes hold values of their types, that names are valid text,
and that functions do not call themselves.
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

# protobuf rejects messages nested more than 100 levels deep; a graph in a node takes three levels.
_DEEPEST = 32
_MOST_ELEMENTS = 1 << 62
_MANY = 1 << 31
_TYPES = frozenset(onnx.TensorProto.DataType.values())
_NO_TYPE = "which does not exist in ONNX"
_STANDARD = ("", "ai.onnx")
_GRAPHS = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
# ONNX Runtime's optimiser (1.32) matches these operators by name only: it reads the second input of any node with the
# name, in any domain, and crashes the process if there is none.
_MISTAKEN = frozenset({"Add", "Mul", "Gather"})
_SINGLE = {"TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "sparse_tensor", "TYPE_PROTO": "tp"}
_ONNX_ERRORS = (
    onnx.checker.ValidationError, shape_inference.InferenceError, ProtobufError, UnicodeError, RecursionError,
    ValueError, TypeError, RuntimeError,
)  # fmt: skip


def check_sound(model: onnx.ModelProto, *, name: str = "the model") -> None:
    """Reject a model that violates an invariant.

    Args:
        model: The complete model: its graph, inner graphs and functions are checked.
        name: Name of the model in errors.

    Raises:
        ModelFormatError: An invariant is violated; the message names the node and the problem.
    """
    try:
        problem = next(_problems(model), None)
    except UnicodeError as error:  # for invalid text, some versions of protobuf raise this, others return bytes
        problem = f"a name in it is not valid text ({error})"
    if problem is not None:
        raise ModelFormatError(f"{name} is not a valid ONNX model: {problem}. Export it again")


def doubt_of(model: onnx.ModelProto) -> str:
    """Return ONNX's complaint about the types and shapes in a model, or an empty string.

    Models with complaints may nevertheless run and build.
    """
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except _ONNX_ERRORS as error:
        return str(error).strip()
    return ""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Convert errors of ONNX's own functions to ours.

    Args:
        doing: What failed: ``"the types of its tensors cannot be inferred"``.

    Raises:
        ModelFormatError: The block raised an error of ONNX or protobuf.
    """
    try:
        yield
    except _ONNX_ERRORS as error:
        raise ModelFormatError(f"the model violates the ONNX specification: {doing}: {error}") from error


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
        yield f"graphs are nested more than {_DEEPEST} levels deep"
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
            yield f"{this} has no operator"
        outputs = [name for name in node.output if name]
        if not outputs:
            yield f"{this} has no outputs"
        if len(made.union(outputs)) < len(made) + len(outputs):
            yield f"{this} has an output whose name is already used by another output"
        made.update(outputs)
        yield from _arity_problems(node, this, opset)
        names = [attribute.name for attribute in node.attribute]
        if not all(names) or len(set(names)) < len(names):
            yield f"{this} has unnamed or duplicate attributes: {', '.join(map(repr, names))}"
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
    """Check that a node of a standard operator has a valid number of inputs and outputs."""
    arity = _arity(node.op_type, opset) if node.domain in _STANDARD and opset > 0 else None
    for what, names in (("inputs", node.input), ("outputs", node.output)):
        least, most = (0, _MANY) if arity is None else arity[what]
        if arity is None and what == "inputs" and node.op_type in _MISTAKEN:
            least = 2
        if not least <= len(names) <= most:
            expected = f"{least}" + f" to {most}" * (most > least)
            yield f"{this} has {len(names)} {what}, expected {expected} in opset {opset}"


@lru_cache(maxsize=512)
def _arity(operator: str, opset: int) -> dict[str, tuple[int, int]] | None:
    """Return the minimum and maximum number of inputs and of outputs; None for an unknown operator."""
    try:
        schema = onnx.defs.get_schema(operator, min(opset, 1 << 30), "")
    except onnx.defs.SchemaError:
        return None
    return {"inputs": (schema.min_input, schema.max_input), "outputs": (schema.min_output, schema.max_output)}


def _attribute_problems(attribute: onnx.AttributeProto, this: str) -> Iterator[str]:
    kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
    field = _SINGLE.get(kind)
    if field is not None and not attribute.HasField(field) and not attribute.ref_attr_name:
        yield f"{this} has an attribute {attribute.name!r} of type {kind} without a value"
    for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
        yield from _tensor_problems(tensor, f"attribute {attribute.name!r} of {this}")
    single = (attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()
    for sparse in (*single, *attribute.sparse_tensors):
        yield from _sparse_problems(sparse, f"attribute {attribute.name!r} of {this}")


def _sparse_problems(sparse: onnx.SparseTensorProto, this: str) -> Iterator[str]:
    for tensor in (sparse.values, sparse.indices):
        yield from _tensor_problems(tensor, this)
        if uses_external_data(tensor):
            yield f"{this} has external data, which sparse tensors do not support"


def _tensor_problems(tensor: onnx.TensorProto, this: str) -> Iterator[str]:
    yield from _text_problems((tensor.name,), this)
    if tensor.data_type not in _TYPES:
        yield f"{this} has the element type {tensor.data_type}, {_NO_TYPE}"
    elif any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > _MOST_ELEMENTS:
        yield f"{this} has the impossible shape {list(tensor.dims)[:8]}"


def _text_problems(texts: Iterable[object], this: str) -> Iterator[str]:
    for text in texts:
        if not isinstance(text, str):  # protobuf returns bytes if the text is not UTF-8
            yield f"a name of {this} is not valid text: {text!r}"


def _circles(model: onnx.ModelProto) -> Iterator[str]:
    """Report functions that call themselves, directly or through others."""
    domains: dict[str, list[tuple[str, str]]] = {}
    for function in model.functions:
        domains.setdefault(function.name, []).append((function.domain, function.name))
    calls = {(each.domain, each.name): _called(each.node, domains) for each in model.functions}
    while calls:  # functions that call none of the remaining ones are not in a cycle
        free = [key for key, called in calls.items() if not called & calls.keys()]
        if not free:
            domain, name = min(calls)
            yield f"function {name!r} of domain {domain!r} calls itself, directly or through others"
            return
        for key in free:
            del calls[key]


def _called(nodes: Iterable[onnx.NodeProto], domains: dict[str, list[tuple[str, str]]]) -> set[tuple[str, str]]:
    """Return the functions that nodes call: those in their domain or, for an unknown operator, in any domain.

    TensorRT's parser matches unknown operators by name only.
    """
    found = set[tuple[str, str]]()
    for node in nodes:
        named = domains.get(node.op_type, ())
        exact = [key for key in named if key[0] == node.domain]
        found.update(exact or (() if node.domain in _STANDARD and onnx.defs.has(node.op_type) else named))
        for inner in subgraphs(node):
            found.update(_called(inner.node, domains))
    return found
