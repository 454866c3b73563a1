"""ONNX into TensorRT's network, with every complaint of the parser, and the edges under the names they shall have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onepass._errors import BuildError
from onepass.builder._edges import Prepared
from onepass.builder._plugins import missing_plugins
from onepass.builder._reasons import explained
from onepass.builder._trial import try_doubtful
from onepass.engine.dtypes import dtype_from_tensorrt
from onepass.engine.flavor import Flavor
from onepass.engine.log import get_logger
from onepass.engine.plan import Edge
from onepass.engine.plugins import load_plugins
from onepass.graph import OnnxGraph
from onepass.graph.sound import check_sound


def new_builder(flavor: Flavor, plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ()) -> Any:
    """Return a builder of TensorRT's, and have plugins registered: its own, and those of libraries.

    Raises:
        BuildError: It gives none, for want of a GPU; what it says is in the message.
        InputError: A library does not open.
    """
    logger = get_logger(flavor)
    mark = logger.book.mark()
    try:
        builder = flavor.module.Builder(logger)
    except TypeError as error:  # what pybind11 makes of a null pointer
        log = logger.book.text(mark)
        raise BuildError(
            f"{flavor} has no builder here; it needs an NVIDIA GPU and its driver to build. It says:\n{log}", log=log
        ) from error
    load_plugins(flavor, plugins)
    return builder


def parse(flavor: Flavor, builder: Any, prepared: Prepared) -> tuple[Any, Any, Prepared]:
    """Read a prepared graph into a network.

    Returns:
        The network, the parser (which owns memory that the network uses), and the graph with the carriers that the
        network really has.

    Raises:
        BuildError: The parser cannot read the model; every node it complains of is named.
    """
    graph, flags = prepared.graph, _creation_flags(flavor)
    check_sound(graph.proto)  # which a graph made in memory may not be, and a parser does not survive
    # The file itself is not opened: external weights are looked for in the folder of this path.
    where = () if graph.folder is None else (str(graph.folder / "model.onnx"),)
    data = graph.to_bytes()
    try_doubtful(flavor, graph.proto, data, flags, where)
    logger = get_logger(flavor)
    mark = logger.book.mark()
    network = builder.create_network(flags)
    parser = flavor.module.OnnxParser(network, logger)
    if not parser.parse(data, *where) or parser.num_errors:
        raise _parser_error(flavor, parser, graph, logger.book.text(mark))
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    return (
        network,
        parser,
        Prepared(graph, _named("input", prepared.inputs, inputs), _named("output", prepared.outputs, outputs)),
    )


def _creation_flags(flavor: Flavor) -> int:
    """Explicit batch, where that still has to be said; precision is a matter of flags there, and of types elsewhere."""
    flag = flavor.member("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH")
    return 0 if flag is None else 1 << int(flag)


def _named(kind: str, edges: tuple[Edge, ...], tensors: Sequence[Any]) -> tuple[Edge, ...]:
    """Give the network's inputs or outputs the plan's names; the parser keeps their order, not their names.

    (A name of an inner graph can displace that of an input.)
    """
    if len(edges) != len(tensors):
        raise BuildError(
            f"TensorRT's parser made {len(tensors)} {kind}s ({', '.join(each.name for each in tensors)}) of the "
            f"model's {len(edges)} ({', '.join(edge.tensor for edge in edges)})"
        )
    by_name = {tensor.name: tensor for tensor in tensors}
    ordered = list(tensors)
    if set(by_name) == {edge.tensor for edge in edges}:
        ordered = [by_name[edge.tensor] for edge in edges]
    checked = []
    for edge, tensor in zip(edges, ordered, strict=True):
        if tensor.name != edge.tensor:
            tensor.name = edge.tensor
        checked.append(_with_carrier(edge, dtype_from_tensorrt(tensor.dtype, tensor=edge.tensor), kind))
    return tuple(checked)


def _with_carrier(edge: Edge, dtype: np.dtype[Any], kind: str) -> Edge:
    if dtype == edge.carrier:
        return edge
    if (edge.carrier, dtype) == (np.dtype(np.int64), np.dtype(np.int32)):
        return replace(edge, carrier=dtype)
    raise BuildError(f"TensorRT made {kind} {edge.spec.name!r}, which is {edge.spec.dtype}, {dtype} without saying so")


def _parser_error(flavor: Flavor, parser: Any, graph: OnnxGraph, log: str) -> BuildError:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    missing = missing_plugins(flavor, parser, graph)
    lines = [*missing.values(), *(_error_line(error, graph) for error in errors)]
    told = " ".join(lines)
    # What is said of a missing plugin takes the place of TensorRT's own words of it.
    lines = [*missing.values(), *(line for line in lines if not any(f"({name}): " in line for name in missing))]
    # Some parsers stop at the first node: the operators that they do not have at all are looked for beside.
    operators = {node.op_type: None for node in graph.proto.graph.node if node.op_type not in told}
    lines += [f"operator {name} is not supported" for name in operators if not parser.supports_operator(name)]
    text = "\n".join(f"  {line}" for line in dict.fromkeys(lines)) or "  (it gives no reason)"
    return BuildError(
        f"{flavor} cannot read the model (opset {graph.opset}):\n{explained(flavor, text, graph)}", log=log
    )


def _error_line(error: Any, graph: OnnxGraph) -> str:
    """Say node, operator and reason; older bindings know only the node's number."""
    # Some reasons carry what CUDA says where there is no GPU, which is not the matter here.
    reason = " ".join(line for line in str(error.desc()).splitlines() if "cudaError" not in line).strip()
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    nodes, number = graph.proto.graph.node, error.node()
    if not operator and 0 <= number < len(nodes):
        operator, name = nodes[number].op_type, nodes[number].name
    if not name and 0 <= number < len(nodes) and nodes[number].op_type == operator:
        name = f"of {nodes[number].output[0]}"
    return f"node {name} ({operator}): {reason}" if operator else reason
