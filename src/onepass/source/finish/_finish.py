"""Finish an exported model: names, order, batch, layout, clean-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onepass._errors import UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.graph.model import with_weights_outside
from onepass.outputs import Array
from onepass.source._edges import set_shape, with_edges
from onepass.source._export import FrameworkExport
from onepass.source._reference import Case
from onepass.source.finish._batch import FIXED_BATCH, Batch, Batches, free_reshapes
from onepass.source.finish._layout import put_channels_first, to_first
from onepass.source.finish._options import ModelOptions
from onepass.source.finish._resize import repair_scales
from onepass.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Finished:
    """The ONNX model, and the relation of its inputs and outputs to the source's.

    Attributes:
        graph: The model.
        sources: Maps the model's outputs to the source's.
        channels_first: Inputs and outputs of the source whose layout differs in the model.
        batches: The source's batch axes.
        batch: The requested batch.
    """

    graph: OnnxGraph
    sources: Mapping[str, str]
    channels_first: frozenset[str]
    batches: Batches
    batch: Batch

    def cases(self, cases: Sequence[Case]) -> Iterator[Case]:
        """Yield the framework's results with the model's names, layouts and batch sizes."""
        for case in self.batches.cases(cases, self.batch):
            inputs = {name: self._laid_out(name, case.inputs) for name in self.graph.signature.input_names}
            outputs = {name: self._laid_out(source, case.outputs) for name, source in self.sources.items()}
            yield Case(case.name, inputs, outputs)

    def _laid_out(self, name: str, arrays: Mapping[str, Array]) -> Array:
        array = arrays[name]
        return np.transpose(array, to_first(array.ndim)) if name in self.channels_first else array


def finish(exported: FrameworkExport, options: ModelOptions) -> Finished:
    """Return the requested model, made from the exported one.

    Raises:
        InputError, OutputNameError: An option does not match the model.
        UnsupportedModelError: The model does not support the requested batch.
        ModelFormatError: The result violates the ONNX specification.
    """
    options.check(exported.signature)
    names = options.renamed(exported.signature)
    batches = Batches.of(exported.signature, exported.cases)
    declared = batches.changed(exported.signature, options.batch)
    proto = with_edges(exported.graph.select(names).proto, outputs=names)
    repair_scales(proto)
    if options.batch is not None and batches.size is not None:
        free_reshapes(proto, batches.size)
    specs = {spec.name: spec for spec in declared.inputs}
    specs |= {names[spec.name]: replace(spec, name=names[spec.name]) for spec in declared.outputs if spec.name in names}
    _declare(proto, specs)
    first = {each for each in options.channels_first if each in exported.signature.input_names}
    first |= {names[each] for each in options.channels_first if each in names}
    put_channels_first(proto, sorted(first & specs.keys()))
    try:
        graph = _cleaned(OnnxGraph(proto, folder=exported.graph.folder))
    except UnsupportedModelError as error:
        if options.batch is None:
            raise
        raise UnsupportedModelError(
            f"the model does not support a batch of {options.batch}: {FIXED_BATCH} ({error})"
        ) from error
    graph.check()
    return Finished(
        graph, {new: old for old, new in names.items()}, frozenset(options.channels_first), batches, options.batch
    )


def _declare(proto: onnx.ModelProto, specs: Mapping[str, TensorSpec]) -> None:
    """Set the shapes that the source declares, and discard inferred shapes."""
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        spec = specs.get(value.name)
        if spec is not None and spec.shape is not None:
            set_shape(value, spec.shape)


def _cleaned(graph: OnnxGraph) -> OnnxGraph:
    """Clean up the model, keeping its declared inputs and outputs."""
    cleaned = graph.clean()
    edges = {value.name: value for value in (*graph.proto.graph.input, *graph.proto.graph.output)}
    for value in (*cleaned.proto.graph.input, *cleaned.proto.graph.output):
        value.CopyFrom(edges[value.name])
    if graph.folder is None:
        return cleaned
    return with_weights_outside(cleaned.proto, graph.folder / "cleaned.onnx", folder=graph.folder)
