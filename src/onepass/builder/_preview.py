"""Preview a build: do everything up to TensorRT's parser, without building."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onepass._errors import BuildError
from onepass.builder._build import find_builder
from onepass.builder._config import check_options
from onepass.builder._graph import graph_of, ready_for, settled, shown
from onepass.builder._layers import network_types
from onepass.builder._network import new_builder, parse
from onepass.builder._plugins import plugins_of
from onepass.builder.options import BuildOptions
from onepass.builder.precision import node_types
from onepass.engine.plan import Edge
from onepass.engine.plugins import Plugin
from onepass.engine.shapes import Profile
from onepass.graph import OnnxGraph


@dataclass(frozen=True)
class Preview:
    """The expected result of a build.

    Attributes:
        inputs: The model's inputs and the engine's tensors for them.
        outputs: The model's outputs, likewise.
        profiles: The optimisation profiles.
        flavor: The TensorRT that would build.
        version: Its version.
        options: Build options, as plain JSON values.
        node_types: Number of the model's nodes that would compute in ``"fp32"``, ``"fp16"`` …; empty without reduced
            precision.
        network_layers: Number of layers that TensorRT's parser creates, before fusion; None if the parser did not run.
        network_types: Number of these layers in ``"fp32"``, ``"fp16"`` …; empty if TensorRT chooses the types itself.
        plugins: Plugins that the engine would need.
        not_parsed: Why the parser did not run (TensorRT's message, if there is no GPU); None if it did.
    """

    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    profiles: tuple[Profile, ...]
    flavor: str
    version: str
    options: Mapping[str, Any]
    node_types: Mapping[str, int] = field(default_factory=dict)
    network_layers: int | None = None
    network_types: Mapping[str, int] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    not_parsed: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "inputs": [edge.to_json() for edge in self.inputs],
            "outputs": [edge.to_json() for edge in self.outputs],
            "profiles": [profile.to_json() for profile in self.profiles],
            "flavor": self.flavor,
            "version": self.version,
            "options": dict(self.options),
            "node_types": dict(self.node_types),
            "network_layers": self.network_layers,
            "network_types": dict(self.network_types),
            "plugins": [plugin.to_json() for plugin in self.plugins],
            "not_parsed": self.not_parsed,
        }


def preview(
    model: str | os.PathLike[str] | bytes | OnnxGraph, options: BuildOptions | None = None, *, flavor: str | None = None
) -> Preview:
    """Preview a build in seconds: check options, ranges, precision, and whether TensorRT's parser accepts the model.

    Args:
        model: The model, as for `onepass.build`.
        options: Build options.
        flavor: The TensorRT that would build; by default the first one that can.

    Raises:
        ModelError, InputError, MissingExtraError, BuildError: As raised by `onepass.build` before it builds.
    """
    options = options or BuildOptions()
    graph, tensorrt = graph_of(model), find_builder(flavor)
    options = settled(options, graph)
    check_options(tensorrt, options, graph.proto)
    ready = ready_for(graph, options, tensorrt)
    inputs, outputs = ready.prepared.inputs, ready.prepared.outputs
    facts: dict[str, Any] = {}
    if options.reduced_type:
        facts["node_types"] = node_types(shown(graph, options), options.reduced_type, options.keep_float32)
    try:
        builder = new_builder(tensorrt, options.plugins)
    except BuildError as error:  # no GPU; most TensorRT versions cannot parse without one
        facts["not_parsed"] = str(error)
    else:
        network, parser, named = parse(tensorrt, builder, ready.prepared)
        inputs, outputs = named.inputs, named.outputs
        facts["network_layers"] = network.num_layers
        facts["network_types"] = network_types(network) if tensorrt.is_strongly_typed else {}
        facts["plugins"] = plugins_of(tensorrt, parser, ready.prepared.graph)
        del network, parser
    return Preview(inputs, outputs, ready.profiles, tensorrt.name, tensorrt.version, options.to_json(), **facts)
