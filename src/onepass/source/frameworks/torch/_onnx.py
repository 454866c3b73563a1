"""What both ways from PyTorch to ONNX need: a network of plain tensors, the opset, names and sizes at the edges."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import onnx
import torch
from onnx import version_converter

from onepass._errors import UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.source._edges import set_shape, with_edges
from onepass.source.frameworks.torch._network import Network
from onepass.source.frameworks.torch._quiet import gist
from onepass.tensors import Signature, TensorSpec

Dynamic: TypeAlias = Mapping[str, Mapping[int, str]]
"""Sizes that may change: input to axis to the size's name."""

_MISSING = re.compile(
    r"No ONNX function found for <OpOverload\(op='([\w.:]+)'|(?:the operator '|unrecognized namespace )([\w:]+)"
    r"|when translating node .*?target=torch\.ops\.([\w.]+)"
)
QUANTISED = (
    "Convert the network as it was before it was quantised, and quantise the ONNX model (onnxruntime.quantization)"
)
"""What to do with a network whose layers are quantised."""


class Flat(torch.nn.Module):
    """A network that takes tensors one after the other and returns a tuple of them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the network."""
        return tuple(self._network(dict(zip(self._network.examples, tensors, strict=True))).values())


def write_failure(name: str, error: Exception) -> UnsupportedModelError:
    """Return what to say of a network that PyTorch cannot write: which operator it is, if PyTorch names one."""
    found = _MISSING.search(str(error)) or _MISSING.search(str(error.__cause__))
    if found:
        operator = found[1] or found[2] or found[3]
        advice = f". {QUANTISED}" if "quantize" in operator else ""
        return UnsupportedModelError(f"{name} uses {operator}, for which PyTorch has no form in ONNX{advice}")
    reason = gist(error.__cause__ or error)
    return UnsupportedModelError(f"PyTorch {torch.__version__} cannot write {name} as ONNX: {reason}")


def in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model in another opset than the exporter writes."""
    graph = OnnxGraph(model)
    if graph.opset == opset:
        return model
    try:
        # The converter looks for axes among the weights, where folding constants puts them, and leaves an attribute
        # behind that older opsets have not got.
        proto = graph.clean().proto
        for node in proto.graph.node:
            kept = [each for each in node.attribute if (each.name, each.i) != ("noop_with_empty_axes", 0)]
            del node.attribute[:]
            node.attribute.extend(kept)
        return version_converter.convert_version(proto, opset)
    except Exception as error:  # it is C++, and throws what it likes
        raise UnsupportedModelError(
            f"PyTorch writes this network in opset {graph.opset}, and an operator of it has no form in {opset}; "
            f"use opset {graph.opset}"
        ) from error


def with_signature(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """Return the model with the names and sizes of this signature at its edges."""
    ends: list[tuple[Sequence[onnx.ValueInfoProto], tuple[TensorSpec, ...]]] = [
        (model.graph.input, signature.inputs), (model.graph.output, signature.outputs)]  # fmt: skip
    names = dict(zip(signature.input_names, (value.name for value in model.graph.input), strict=True))
    for value, spec in zip(model.graph.output, signature.outputs, strict=True):
        value.name = names.get(spec.name, value.name)  # it is that input: the exporter has a copy of it
    inputs, outputs = ({value.name: spec.name for value, spec in zip(*end, strict=True)} for end in ends)
    model = with_edges(model, inputs=inputs, outputs=outputs)
    for values, specs in ((model.graph.input, signature.inputs), (model.graph.output, signature.outputs)):
        for value, spec in zip(values, specs, strict=True):
            set_shape(value, spec.shape or ())
    return model
