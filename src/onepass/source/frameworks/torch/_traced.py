"""Conversion by tracing, for TorchScript."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import onnx
import torch

from onepass.source.frameworks.torch._network import Network
from onepass.source.frameworks.torch._onnx import Dynamic, Flat, in_opset, with_signature, write_failure
from onepass.source.frameworks.torch._quiet import quiet
from onepass.source.frameworks.torch._tensors import dtype_of
from onepass.tensors import Dim, Signature, TensorSpec

_LAST_OPSET = 20
"""The newest opset that the tracing exporter writes; newer ones are converted from it."""


class Traced:
    """A TorchScript network; scripted control flow is preserved.

    Attributes:
        signature: Its inputs and outputs.
    """

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        """Find out which output sizes depend on input sizes."""
        self._network, self._dynamic = network, dynamic
        inputs = [
            TensorSpec(name, dtype_of(tensor, name=name), tuple(
                dynamic.get(name, {}).get(axis, size) for axis, size in enumerate(tensor.shape)))
            for name, tensor in network.examples.items()
        ]  # fmt: skip
        outputs = [
            TensorSpec(name, dtype_of(tensor, name=name), shape)
            for (name, tensor), shape in zip(network.outputs.items(), self._output_shapes(), strict=True)
        ]
        self.signature = Signature(tuple(inputs), tuple(outputs))

    def write(self, opset: int) -> onnx.ModelProto:
        """Return the network as ONNX.

        Raises:
            UnsupportedModelError: An operator cannot be expressed in ONNX, or not in this opset.
        """
        examples = tuple(self._network.examples.values())
        file: Any = io.BytesIO()  # the declared types allow only paths
        jit: Any = torch.jit
        try:
            with quiet():
                flat = jit.trace(Flat(self._network), examples, check_trace=False, strict=False)
                torch.onnx.export(
                    flat, examples, file, dynamo=False, opset_version=min(opset, _LAST_OPSET),
                    input_names=list(self._network.examples), output_names=list(self._network.outputs),
                    dynamic_axes={name: dict(axes) for name, axes in self._dynamic.items()},
                )  # fmt: skip
        except Exception as error:
            raise write_failure(self._network.name, error) from error
        return with_signature(in_opset(onnx.load_from_string(file.getvalue()), opset), self.signature)

    def _output_shapes(self) -> Iterator[tuple[Dim, ...]]:
        """Run the network with other sizes, and compare the outputs' sizes."""
        names = sorted({size for axes in self._dynamic.values() for size in axes.values()})
        examples, times = dict(self._network.examples), {size: 2 + index for index, size in enumerate(names)}
        sizes: dict[tuple[int, int], str] = {}
        for name, axes in self._dynamic.items():
            for axis, size in axes.items():
                before = examples[name].shape[axis]
                sizes[before, before * times[size]] = size
                examples[name] = examples[name].repeat_interleave(times[size], axis)
        with quiet():
            grown = self._network(examples)
        for name, tensor in self._network.outputs.items():
            pairs = zip(tensor.shape, grown[name].shape, strict=True)
            yield tuple(pair[0] if pair[0] == pair[1] else sizes.get(pair) for pair in pairs)
