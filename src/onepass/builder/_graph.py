"""The model that a build starts from: open it, compute its digest, and prepare it for one TensorRT."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple, cast

from onepass._errors import InputError
from onepass.artifacts import sha256_of
from onepass.builder._edges import Prepared, prepare
from onepass.builder._profiles import profiles_from_options
from onepass.builder._roles import is_quantized
from onepass.builder.interface import PictureInput, edge_dtypes
from onepass.builder.options import BEST, BuildOptions
from onepass.builder.precision import float32_nodes, reduce_edges, reduce_precision
from onepass.engine.flavor import Flavor
from onepass.engine.shapes import Profile
from onepass.graph import OnnxGraph
from onepass.graph.edge_types import with_edge_types
from onepass.graph.kernels import with_kernel_shapes
from onepass.graph.nodes import initializer_names
from onepass.graph.pictures import with_picture_input
from onepass.tensors import name_tuple, warn_of_left_out


def graph_of(model: str | os.PathLike[str] | bytes | OnnxGraph) -> OnnxGraph:
    """Return the model as a graph.

    Raises:
        InputError: The model is neither a path, nor bytes, nor a graph.
        ModelError: The model cannot be read.
    """
    if isinstance(model, OnnxGraph):
        model.require_weights()
        return model
    if isinstance(model, bytes):
        return OnnxGraph.from_bytes(model)
    if isinstance(model, (str, os.PathLike)):
        return OnnxGraph.load(model)
    raise InputError(
        f"model: expected a path, the bytes of a file, or an OnnxGraph, got {type(model).__name__}. "
        "Convert an onnx.ModelProto with OnnxGraph(proto)"
    )


def digest_of(graph: OnnxGraph) -> str:
    """Return a digest of a model's content, including external weights."""
    digest = sha256(graph.proto.SerializeToString(deterministic=True))
    for name in sorted(graph.weight_files):
        assert graph.folder is not None  # noqa: S101 - a graph with external weights knows its folder
        digest.update(f"\n{name} {sha256_of(graph.folder / name)}".encode())
    return digest.hexdigest()


def digest_of_model(model: str | os.PathLike[str] | bytes | OnnxGraph, graph: OnnxGraph) -> str:
    """Return the digest of a model: of its file if the model is a single file, otherwise of the graph."""
    is_file = isinstance(model, (str, os.PathLike)) and not graph.weight_files
    return sha256_of(cast("str", model)) if is_file else digest_of(graph)


class Ready(NamedTuple):
    """Input for TensorRT: the graph, its profiles, and the nodes that must stay float32."""

    prepared: Prepared
    profiles: tuple[Profile, ...]
    kept: frozenset[str]


def settled(options: BuildOptions, graph: OnnxGraph) -> BuildOptions:
    """Return options with precision "best" replaced by the best precisions for this model."""
    if BEST not in options.precision:
        return options
    return replace(options, precision=("fp16", "int8") if is_quantized(graph.proto.graph) else ("fp16",))


def ready_for(graph: OnnxGraph, options: BuildOptions, flavor: Flavor) -> Ready:
    """Prepare a graph for TensorRT: outputs selected, precision written into the graph unless a flag sets it.

    Raises:
        InputError: A name or a range does not fit the model.
        UnsupportedModelError: TensorRT does not support an input or output of the model, or no node can be reduced.
    """
    graph, kind = with_kernel_shapes(shown(graph, options).with_true_outputs()), options.reduced_type
    by_flag = kind in flavor.precision_flags
    if kind and not by_flag:
        graph = reduce_precision(
            graph, kind, keep_float32=options.keep_float32, reduced_io=options.reduced_io, quantized=options.quantized
        )
    elif kind and options.reduced_io:
        graph = reduce_edges(graph, kind)
    profiles = profiles_from_options(graph.signature, options)
    prepared = prepare(graph, flavor, profiles[0])
    kept: frozenset[str] = frozenset()
    if kind and by_flag:
        kept = float32_nodes(prepared.graph, kind, options.keep_float32, quantized=options.quantized)
    return Ready(prepared, profiles, kept)


def shown(graph: OnnxGraph, options: BuildOptions) -> OnnxGraph:
    """Return the graph with the requested outputs, picture inputs and types."""
    graph = _with_outputs(graph, options)
    for name, text in options.picture_inputs.items():
        pictures = PictureInput.parse(str(text))
        reverse = pictures.order == "bgr"
        graph = with_picture_input(graph, name, reverse=reverse, mean=pictures.mean, std=pictures.std)
    types = edge_dtypes(graph.signature, options.input_io_formats, options.output_io_formats)
    return with_edge_types(graph, types) if types else graph


def _with_outputs(graph: OnnxGraph, options: BuildOptions) -> OnnxGraph:
    if options.mark_all_outputs:
        names = {value.name for value in graph.proto.graph.output}
        weights = initializer_names(graph.proto.graph)
        inputs = {value.name for value in graph.proto.graph.input}
        graph = graph.expose([name for name in graph.tensor_names if name not in names | weights | inputs])
    if options.outputs is not None:
        names = {value.name for value in graph.proto.graph.output}
        wanted = name_tuple(options.outputs)
        return graph.expose([name for name in wanted if name not in names]).select(wanted)
    signature = graph.signature
    warn_of_left_out(signature, graph.name)
    # An output that is listed twice becomes one.
    return graph.select(signature.output_names) if len(signature.outputs) < len(graph.proto.graph.output) else graph
