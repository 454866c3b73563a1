"""Parse ONNX into a TensorRT network, report all parser errors, and restore the names of inputs and outputs."""

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
    """Return a TensorRT builder, and register TensorRT's plugins and those of the libraries.

    Raises:
        BuildError: TensorRT cannot create a builder because there is no GPU; the message contains TensorRT's log.
        InputError: A library cannot be loaded.
    """
    logger = get_logger(flavor)
    mark = logger.book.mark()
    try:
        builder = flavor.module.Builder(logger)
    except TypeError as error:  # pybind11 raises it for a null pointer
        log = logger.book.text(mark)
        raise BuildError(
            f"{flavor} cannot build here; it needs an NVIDIA GPU and its driver. TensorRT's log:\n{log}", log=log
        ) from error
    load_plugins(flavor, plugins)
    return builder


def parse(flavor: Flavor, builder: Any, prepared: Prepared) -> tuple[Any, Any, Prepared]:
    """Read a prepared graph into a network.

    Returns:
        The network, the parser (which owns memory that the network uses), and the graph with the actual carriers of the
        network.

    Raises:
        BuildError: The parser cannot read the model; the message names every failing node.
    """
    graph, flags = prepared.graph, _creation_flags(flavor)
    check_sound(graph.proto)  # a graph created in memory may be invalid, which crashes the parser
    # The file itself is not opened; the parser looks for external weights in its folder.
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
    """Return the explicit-batch flag for TensorRT versions that still need it; others are always explicit."""
    flag = flavor.member("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH")
    return 0 if flag is None else 1 << int(flag)


def _named(kind: str, edges: tuple[Edge, ...], tensors: Sequence[Any]) -> tuple[Edge, ...]:
    """Give the network's inputs or outputs the plan's names; the parser keeps their order, but not always their names.

    (A name in an inner graph can displace the name of an input.)
    """
    if len(edges) != len(tensors):
        raise BuildError(
            f"TensorRT's parser returned {len(tensors)} {kind}s ({', '.join(each.name for each in tensors)}), but the "
            f"model has {len(edges)} ({', '.join(edge.tensor for edge in edges)})"
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
    raise BuildError(
        f"{kind} {edge.spec.name!r}: expected {edge.spec.dtype}, but TensorRT silently changed it to {dtype}"
    )


def _parser_error(flavor: Flavor, parser: Any, graph: OnnxGraph, log: str) -> BuildError:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    missing = missing_plugins(flavor, parser, graph)
    lines = [*missing.values(), *(_error_line(error, graph) for error in errors)]
    told = " ".join(lines)
    # Our line about a missing plugin replaces TensorRT's own.
    lines = [*missing.values(), *(line for line in lines if not any(f"({name}): " in line for name in missing))]
    # Some parsers stop at the first error, so list all other unsupported operators, too.
    operators = {node.op_type: None for node in graph.proto.graph.node if node.op_type not in told}
    lines += [f"operator {name} is not supported" for name in operators if not parser.supports_operator(name)]
    text = "\n".join(f"  {line}" for line in dict.fromkeys(lines)) or "  (no reason given)"
    return BuildError(
        f"{flavor} cannot read the model (opset {graph.opset}):\n{explained(flavor, text, graph)}", log=log
    )


def _error_line(error: Any, graph: OnnxGraph) -> str:
    """Return node, operator and reason; older bindings report only the node's number."""
    # Without a GPU, some reasons contain unrelated CUDA errors.
    reason = " ".join(line for line in str(error.desc()).splitlines() if "cudaError" not in line).strip()
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    nodes, number = graph.proto.graph.node, error.node()
    if not operator and 0 <= number < len(nodes):
        operator, name = nodes[number].op_type, nodes[number].name
    if not name and 0 <= number < len(nodes) and nodes[number].op_type == operator:
        name = f"of {nodes[number].output[0]}"
    return f"node {name} ({operator}): {reason}" if operator else reason
