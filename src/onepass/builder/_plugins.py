"""Nodes that TensorRT's parser leaves to plugins, and whether these plugins are registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from onepass.engine.flavor import Flavor
from onepass.engine.plugins import Plugin, registered
from onepass.graph import OnnxGraph
from onepass.graph.nodes import all_nodes


def plugins_of(flavor: Flavor, parser: Any, graph: OnnxGraph) -> tuple[Plugin, ...]:
    """Return the plugins that a graph's engine uses, sorted by name."""
    there = registered(flavor)
    return tuple(sorted({each for node in _nodes(parser, graph) for each in _wanted(node) if each in there}))


def missing_plugins(flavor: Flavor, parser: Any, graph: OnnxGraph) -> dict[str, str]:
    """Return operators that neither ONNX nor TensorRT nor a registered plugin has, with a message for each."""
    there, lines = registered(flavor), dict[str, str]()
    for node in _nodes(parser, graph):
        wanted = _wanted(node)
        is_known = onnx.defs.has(node.op_type, domain="") or parser.supports_operator(node.op_type)
        if is_known or not there.isdisjoint(wanted):
            continue
        near = [each for each in there if each.name == node.op_type]
        has = f"only {'; '.join(map(str, near))} is registered" if near else "no plugin of this name is registered"
        name = node.name or f"of {node.output[0]}"
        lines[node.op_type] = (
            f"node {name} ({node.op_type}) needs the plugin {wanted[0]}, but {has}. Load the library that contains it: "
            "plugins=['libmyplugin.so']"
        )
    return lines


def _nodes(parser: Any, graph: OnnxGraph) -> Iterator[onnx.NodeProto]:
    """Yield the nodes whose operators are not standard ONNX, or not supported by the parser.

    For non-standard operators, the parser's answer differs: in TensorRT 8.5 it includes registered plugins.
    """
    own = {function.name for function in graph.proto.functions}
    for node in all_nodes(graph.proto.graph):
        is_standard = onnx.defs.has(node.op_type, domain="")
        if node.op_type not in own and not (is_standard and parser.supports_operator(node.op_type)):
            yield node


def _wanted(node: onnx.NodeProto) -> tuple[Plugin, ...]:
    """Return the plugins that may implement a node: TensorRT tries the node's plugin namespace, then its domain."""
    said = {each.name: each.s.decode(errors="replace") for each in node.attribute if each.s}
    version, namespace = said.get("plugin_version", "1"), said.get("plugin_namespace", "")
    return Plugin(node.op_type, version, namespace), Plugin(node.op_type, version, node.domain)
