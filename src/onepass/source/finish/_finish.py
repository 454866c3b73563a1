"""From what a framework exports to the model that is promised: names, order, batch, layout, nothing needless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import onnx

from onepass._errors import InputError, UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.outputs import Array
from onepass.source._edges import with_edges
from onepass.source._export import Case, Harvest
from onepass.source.finish._batch import Batch, Batches, check_batch, free_reshapes
from onepass.source.finish._layout import check_names, put_channels_first, to_first
from onepass.source.finish._resize import repair_scales
from onepass.tensors import Dim, Signature, TensorSpec

Target: TypeAlias = Literal["tensorrt"] | None
"""Who shall read the model, where that asks for more than ONNX does."""


FIXED_BATCH = "the number of items is written into the network somewhere; keep the batch that the source has"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the ONNX model shall be like.

    Attributes:
        outputs: Which outputs, and in which order; all in the source's order where None.
        output_names: New names for these outputs, one each.
        batch: How many items it shall take.
        channels_first: Names, in the source, of inputs and outputs that shall have their channels in the second place.
        target: Who shall read it.
    """

    outputs: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None
    batch: Batch = None
    channels_first: tuple[str, ...] = ()
    target: Target = None

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.target not in (None, "tensorrt"):
            raise InputError(f"target is 'tensorrt' or None, got {self.target!r}")

    def check(self, signature: Signature) -> None:
        """Refuse what does not fit a source, before it is exported and run.

        Raises:
            InputError, OutputNameError: A name is not there, or not what is wanted of it.
        """
        self.renamed(signature)
        check_names(self.channels_first, signature)

    def renamed(self, signature: Signature) -> dict[str, str]:
        """Return which output of the source becomes which of the ONNX model.

        Raises:
            OutputNameError: An output that is wished for is not there.
            InputError: There are not as many new names as outputs, or they are not unique.
        """
        chosen = signature.output_names if self.outputs is None else self.outputs
        signature.ordered_outputs(chosen)  # refuses unknown names
        names = chosen if self.output_names is None else self.output_names
        if len(names) != len(chosen) or len(set(names)) != len(names):
            raise InputError(
                f"output_names has {len(names)} names for {len(chosen)} outputs: {', '.join(names)} for "
                f"{', '.join(chosen)}; each output needs one of its own"
            )
        for old, new in zip(chosen, names, strict=True):
            if new in signature.input_names and new != old:
                raise InputError(f"output {old!r} cannot be named {new!r}, which is an input")
        if self.target == "tensorrt":
            # Its parser renames an input that is an output at the same time. The input.
            names = tuple(f"{name}_out" if name in signature.input_names else name for name in names)
        return dict(zip(chosen, names, strict=True))


@dataclass(frozen=True, slots=True)
class Finished:
    """The ONNX model, and how its edges stand for those of the source.

    Attributes:
        graph: The model.
        sources: Output of the model to output of the source.
        channels_first: Inputs and outputs of the source that have another layout in the model.
        batches: Which edges of the source have a batch.
        batch: The batch that was wished for.
    """

    graph: OnnxGraph
    sources: Mapping[str, str]
    channels_first: frozenset[str]
    batches: Batches
    batch: Batch

    def cases(self, cases: Sequence[Case]) -> Iterator[Case]:
        """Yield what the framework computed as the model names it and lays it out, in batches that it takes."""
        for case in self.batches.cases(cases, self.batch):
            inputs = {name: self._laid_out(name, case.inputs) for name in self.graph.signature.input_names}
            outputs = {name: self._laid_out(source, case.outputs) for name, source in self.sources.items()}
            yield Case(case.name, inputs, outputs)

    def _laid_out(self, name: str, arrays: Mapping[str, Array]) -> Array:
        array = arrays[name]
        return np.transpose(array, to_first(array.ndim)) if name in self.channels_first else array


def finish(harvest: Harvest, wishes: Wishes) -> Finished:
    """Return the model as it shall be, from the one that the framework exported.

    Raises:
        InputError, OutputNameError: A wish does not fit the model.
        UnsupportedModelError: The model cannot take the batch that is wished for.
        ModelFormatError: What came of it breaks the ONNX specification.
    """
    wishes.check(harvest.signature)
    names = wishes.renamed(harvest.signature)
    batches = Batches.of(harvest.signature, harvest.cases)
    declared = batches.changed(harvest.signature, wishes.batch)
    proto = with_edges(OnnxGraph(harvest.model).select(names).proto, outputs=names)
    repair_scales(proto)
    if wishes.batch is not None and batches.size is not None:
        free_reshapes(proto, batches.size)
    specs = {spec.name: spec for spec in declared.inputs}
    specs |= {names[spec.name]: replace(spec, name=names[spec.name]) for spec in declared.outputs if spec.name in names}
    _declare(proto, specs)
    first = {each for each in wishes.channels_first if each in harvest.signature.input_names}
    first |= {names[each] for each in wishes.channels_first if each in names}
    put_channels_first(proto, sorted(first & specs.keys()))
    try:
        graph = _cleaned(proto)
    except UnsupportedModelError as error:
        if wishes.batch is None:
            raise
        raise UnsupportedModelError(
            f"the model cannot take a batch of {wishes.batch}: {FIXED_BATCH} ({error})"
        ) from error
    graph.check()
    return Finished(
        graph, {new: old for old, new in names.items()}, frozenset(wishes.channels_first), batches, wishes.batch
    )


def _declare(proto: onnx.ModelProto, specs: Mapping[str, TensorSpec]) -> None:
    """Give inputs and outputs the shapes that the source declares, and forget what was inferred from others."""
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        spec = specs.get(value.name)
        if spec is not None and spec.shape is not None:
            _set_shape(value, spec.shape)


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[Dim, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dim = dims.add()
        if isinstance(size, int):
            dim.dim_value = size
        elif size is not None:
            dim.dim_param = size


def _cleaned(proto: onnx.ModelProto) -> OnnxGraph:
    """Clean the model up; its inputs and outputs stay as they are declared."""
    graph = OnnxGraph(proto).clean()
    edges = {value.name: value for value in (*proto.graph.input, *proto.graph.output)}
    for value in (*graph.proto.graph.input, *graph.proto.graph.output):
        value.CopyFrom(edges[value.name])
    return graph
