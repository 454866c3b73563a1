"""Common parts of both PyTorch exports: flat tensors, opset conversion, names and sizes of inputs and outputs."""

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
"""Dynamic sizes: maps input to axis to the size's name."""

_MISSING = re.compile(
    r"No ONNX function found for <OpOverload\(op='([\w.:]+)'|(?:the operator '|unrecognized namespace )([\w:]+)"
    r"|when translating node .*?target=torch\.ops\.([\w.]+)"
)
QUANTISED = "Convert the original network before quantisation, and quantise the ONNX model (onnxruntime.quantization)"
"""Advice for networks with quantised layers."""


class Flat(torch.nn.Module):
    """A network with positional tensor arguments that returns a tuple of tensors."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the network."""
        return tuple(self._network(dict(zip(self._network.examples, tensors, strict=True))).values())


def write_failure(name: str, error: Exception) -> UnsupportedModelError:
    """Return the error for a network that PyTorch cannot export, with the operator if PyTorch names one."""
    found = _MISSING.search(str(error)) or _MISSING.search(str(error.__cause__))
    if found:
        operator = found[1] or found[2] or found[3]
        advice = f". {QUANTISED}" if "quantize" in operator else ""
        return UnsupportedModelError(f"{name} uses {operator}, which PyTorch cannot export to ONNX{advice}")
    reason = gist(error.__cause__ or error)
    return UnsupportedModelError(f"PyTorch {torch.__version__} cannot export {name} to ONNX: {reason}")


def in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Convert the exported model to another opset."""
    graph = OnnxGraph(model)
    if graph.opset == opset:
        return model
    try:
        # The converter expects axes among the weights, where constant folding puts them, and keeps an attribute that
        # older opsets do not have.
        proto = graph.clean().proto
        for node in proto.graph.node:
            kept = [each for each in node.attribute if (each.name, each.i) != ("noop_with_empty_axes", 0)]
            del node.attribute[:]
            node.attribute.extend(kept)
        return version_converter.convert_version(proto, opset)
    except Exception as error:  # the C++ converter can raise any exception
        raise UnsupportedModelError(
            f"PyTorch exports this network in opset {graph.opset}, and one of its operators does not exist in opset "
            f"{opset}; use opset {graph.opset}"
        ) from error


def with_signature(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """Return the model with this signature's names and sizes of inputs and outputs."""
    ends: list[tuple[Sequence[onnx.ValueInfoProto], tuple[TensorSpec, ...]]] = [
        (model.graph.input, signature.inputs), (model.graph.output, signature.outputs)]  # fmt: skip
    names = dict(zip(signature.input_names, (value.name for value in model.graph.input), strict=True))
    for value, spec in zip(model.graph.output, signature.outputs, strict=True):
        value.name = names.get(spec.name, value.name)  # the output is this input, of which the exporter has a copy
    inputs, outputs = ({value.name: spec.name for value, spec in zip(*end, strict=True)} for end in ends)
    model = with_edges(model, inputs=inputs, outputs=outputs)
    for values, specs in ((model.graph.input, signature.inputs), (model.graph.output, signature.outputs)):
        for value, spec in zip(values, specs, strict=True):
            set_shape(value, spec.shape or ())
    return model
