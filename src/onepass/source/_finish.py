"""From what a framework exports to the model that is promised: names, order, batch, layout, nothing needless."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import onnx

from onepass._errors import InputError
from onepass.graph import OnnxGraph
from onepass.outputs import Array
from onepass.source._edges import with_edges
from onepass.tensors import Signature

Batch: TypeAlias = int | Literal["dynamic"] | None
"""A number of items, any number, or as the source has it."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the ONNX model shall be like.

    Attributes:
        outputs: Which outputs, and in which order; all in the source's order where None.
        output_names: New names for these outputs, one each.
    """

    outputs: tuple[str, ...] | None = None
    output_names: tuple[str, ...] | None = None

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
        return dict(zip(chosen, names, strict=True))


@dataclass(frozen=True, slots=True)
class Finished:
    """The ONNX model, and how its edges stand for those of the source.

    Attributes:
        graph: The model.
        sources: Output of the model to output of the source.
    """

    graph: OnnxGraph
    sources: Mapping[str, str] = field(default_factory=dict)

    def to_onnx(self, arrays: Mapping[str, Array], *, inputs: bool) -> dict[str, Array]:
        """Return inputs, or outputs, of the source as the ONNX model names and lays them out."""
        if inputs:
            return {name: arrays[name] for name in self.graph.signature.input_names}
        return {name: arrays[source] for name, source in self.sources.items()}


def finish(model: onnx.ModelProto, signature: Signature, wishes: Wishes) -> Finished:
    """Return the model as it shall be, from the one that the framework exported.

    Raises:
        InputError, OutputNameError: A wish does not fit the model.
        ModelFormatError: What came of it breaks the ONNX specification.
    """
    names = wishes.renamed(signature)
    chosen = OnnxGraph(model).select(names)
    graph = OnnxGraph(with_edges(chosen.proto, outputs=names)).clean()
    graph.check()
    return Finished(graph, {new: old for old, new in names.items()})
