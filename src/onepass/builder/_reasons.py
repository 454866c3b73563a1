"""Explain TensorRT's error messages, which name internal layers, in terms of the model's nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx

from onepass.engine.flavor import Flavor
from onepass.graph import OnnxGraph
from onepass.graph.nodes import all_nodes

_NO_KERNEL = re.compile(r"\b(?P<layer>[^\s()]+) has no runners that implement it")
_NO_PLUGIN = re.compile(r"(?P<plugin>\w+) plugin (?:creator version \d+ )?was not found in (?:the )?plugin registry")
_SHAPE_INPUT = re.compile(r"Network input (?P<name>.+?) is a shape tensor and must have type Int32 or Int64")
# A line that already names its node; see `onepass.builder._network`.
_NAMED = re.compile(r"^  node ", re.MULTILINE)
_RANKS = re.compile(r"\b(?P<layer>[^\s()]+)_OutputLayer: Must have inputs with equal ranks")


def explained(flavor: Flavor, text: str, graph: OnnxGraph) -> str:
    """Return TensorRT's messages about a graph, followed by explanations of those with a known meaning."""
    return "\n".join([text, *dict.fromkeys(_sentences(flavor, text, graph))])


def _sentences(flavor: Flavor, text: str, graph: OnnxGraph) -> Iterator[str]:
    for found in _SHAPE_INPUT.finditer(text):
        yield (
            f"Input {found['name']!r} determines shapes, for which {flavor} supports only integers. Instead of scales, "
            "let the model take sizes (the fourth input of Resize), or make the scales constant"
        )
    for found in _NO_PLUGIN.finditer(text):
        needs = _told(_of_operator(graph, found["plugin"]), "the model")
        yield f"{flavor} has no {found['plugin']}, which {needs} needs; full TensorRT has it"
    for found in _NO_KERNEL.finditer(text):
        yield f"{flavor} has no kernel for {_told(_of_layer(graph, found['layer']), found['layer'])}"
    for found in _RANKS.finditer(text):
        node = _told(_of_layer(graph, found["layer"]), found["layer"])
        yield f"{flavor} requires the same rank in both branches; the ranks of {node} differ"
    if not any(each.search(text) for each in (_SHAPE_INPUT, _NO_PLUGIN, _NO_KERNEL, _RANKS, _NAMED)):
        for node in all_nodes(graph.proto.graph):
            if node.name and _is_word(node.name, text):
                yield f"The message refers to {_told(node, '')}"


def _of_layer(graph: OnnxGraph, layer: str) -> onnx.NodeProto | None:
    """Return the node of a layer; the layer has the node's name, perhaps followed by a number."""
    names = {layer, re.sub(r"_\d+$", "", layer)}
    return next((node for node in all_nodes(graph.proto.graph) if node.name in names), None)


def _of_operator(graph: OnnxGraph, operator: str) -> onnx.NodeProto | None:
    return next((node for node in all_nodes(graph.proto.graph) if node.op_type.lower() == operator.lower()), None)


def _told(node: onnx.NodeProto | None, otherwise: str) -> str:
    return otherwise if node is None else f"node {node.name or f'of {node.output[0]}'} ({node.op_type})"


def _is_word(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w/.])", text) is not None
