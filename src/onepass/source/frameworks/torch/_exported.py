"""Conversion through ``torch.export``, for modules and exported programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import onnx
import torch

from onepass._errors import InputError, UnsupportedModelError
from onepass.source.frameworks.torch._network import Network
from onepass.source.frameworks.torch._onnx import QUANTISED, Dynamic, Flat, in_opset, with_signature, write_failure
from onepass.source.frameworks.torch._quiet import gist, quiet
from onepass.source.frameworks.torch._tensors import dtype_of
from onepass.tensors import Dim, Signature, TensorSpec

_FIRST_OPSET = 18
"""The oldest opset that PyTorch writes for exported programs; older ones are converted from it."""


class Exported:
    """A network exported with ``torch.export``.

    Attributes:
        signature: Its inputs and outputs.
    """

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        """Export the network.

        Raises:
            InputError: A size requested as dynamic cannot change.
            UnsupportedModelError: ``torch.export`` cannot trace the network.
        """
        self._network = network
        names = tuple(network.examples)
        axes = tuple(dict.fromkeys(dynamic.get(name, {}), torch.export.Dim.DYNAMIC) for name in names)
        try:
            with quiet():
                self._program = torch.export.export(
                    Flat(network), tuple(_widened(network.examples, dynamic).values()), strict=False,
                    dynamic_shapes={"tensors": axes},
                )  # fmt: skip
        except Exception as error:
            raise _export_failure(network, dynamic, error) from error
        inputs, outputs = _edge_values(self._program)
        symbols = {
            str(tensor.shape[axis]): size
            for name, tensor in zip(names, inputs, strict=True)
            for axis, size in dynamic.get(name, {}).items()
        }
        self.signature = Signature(
            tuple(_specs(names, inputs, symbols)), tuple(_specs(tuple(network.outputs), outputs, symbols))
        )

    def write(self, opset: int) -> onnx.ModelProto:
        """Return the network as ONNX.

        Raises:
            UnsupportedModelError: An operator cannot be expressed in ONNX, or not in this opset.
        """
        try:
            with quiet():
                written: Any = torch.onnx.export(
                    self._program, dynamo=True, opset_version=max(opset, _FIRST_OPSET), verbose=False
                )
        except Exception as error:
            raise write_failure(self._network.name, error) from error
        model = written.model_proto
        _forget_the_code(model)
        return with_signature(in_opset(model, opset), self.signature)


def _widened(examples: Mapping[str, torch.Tensor], dynamic: Dynamic) -> dict[str, torch.Tensor]:
    """Return the examples with dynamic sizes of 1 doubled, because ``torch.export`` treats 1 as a constant."""
    wide = {}
    for name, tensor in examples.items():
        for axis in dynamic.get(name, {}):
            tensor = tensor.repeat_interleave(2, axis) if tensor.shape[axis] == 1 else tensor  # noqa: PLW2901
        wide[name] = tensor
    return wide


def _edge_values(program: torch.export.ExportedProgram) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the symbolic values of a program's inputs and outputs, with its symbols for sizes."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    edges = program.graph_signature
    return [values[name] for name in edges.user_inputs], [values[name] for name in edges.user_outputs]


def _specs(names: Iterable[str], tensors: Iterable[torch.Tensor], symbols: Mapping[str, str]) -> Iterator[TensorSpec]:
    for name, tensor in zip(names, tensors, strict=True):
        yield TensorSpec(name, dtype_of(tensor, name=name), tuple(_dim(size, symbols) for size in tensor.shape))


def _dim(size: Any, symbols: Mapping[str, str]) -> Dim:
    """Return a size with the user's names; None if it depends on anything else."""
    if isinstance(size, int):
        return size
    parts = re.split(r"([a-z]+\d+)", str(size))
    if any(part not in symbols for part in parts[1::2]) or re.search(r"[A-Za-z]", "".join(parts[::2])):
        return None  # it depends on values, or through functions
    return "".join(symbols.get(part, part) for part in parts)


def _export_failure(network: Network, dynamic: Dynamic, error: Exception) -> Exception:
    name, inputs = network.name, tuple(network.examples)
    fixed = sorted(set(re.findall(r"L\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\]", str(error))))
    if fixed:
        sizes = [f"{dynamic[inputs[int(i)]][int(axis)]} (axis {axis} of {inputs[int(i)]})" for i, axis in fixed]
        return InputError(
            f"{name}: torch.export cannot make this size dynamic: {', '.join(sizes)}. The network's computations fix "
            "it; omit it from dynamic, or convert torch.jit.trace(network, inputs), which may keep it dynamic"
        )
    packed = [part for part in network.module.modules() if ".quantized." in type(part).__module__]
    if packed:
        kinds = ", ".join(sorted({type(part).__name__ for part in packed}))
        return UnsupportedModelError(f"{name} has quantised layers ({kinds}). {QUANTISED}")
    return UnsupportedModelError(
        f"torch.export cannot trace {name}: {gist(error)}. A network's control flow must not depend on tensor values: "
        "use torch.where, torch.cond and fixed sizes instead of if, loops and numbers read from tensors"
    )


def _forget_the_code(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes on the Python code, which contain local paths."""
    for part in (*model.graph.node, *(node for function in model.functions for node in function.node),
                 *model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer,
                 model.graph, model):  # fmt: skip
        del part.metadata_props[:]
        part.doc_string = ""
