"""By ``torch.export``, the way of modules and exported programs."""

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
"""The oldest that PyTorch writes for exported programs; what is older is made of it afterwards."""


class Exported:
    """A network as ``torch.export`` sees it.

    Attributes:
        signature: Its inputs and outputs.
    """

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        """Export the network.

        Raises:
            InputError: A size that is asked to change cannot.
            UnsupportedModelError: ``torch.export`` cannot follow what the network does.
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
            UnsupportedModelError: An operator has no form in ONNX, or not in that opset.
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
    """Return the examples with two in place of one where the size may change: one is taken for a constant."""
    wide = {}
    for name, tensor in examples.items():
        for axis in dynamic.get(name, {}):
            tensor = tensor.repeat_interleave(2, axis) if tensor.shape[axis] == 1 else tensor  # noqa: PLW2901
        wide[name] = tensor
    return wide


def _edge_values(program: torch.export.ExportedProgram) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the stand-ins of a program's inputs and outputs, which have its symbols for sizes."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    edges = program.graph_signature
    return [values[name] for name in edges.user_inputs], [values[name] for name in edges.user_outputs]


def _specs(names: Iterable[str], tensors: Iterable[torch.Tensor], symbols: Mapping[str, str]) -> Iterator[TensorSpec]:
    for name, tensor in zip(names, tensors, strict=True):
        yield TensorSpec(name, dtype_of(tensor, name=name), tuple(_dim(size, symbols) for size in tensor.shape))


def _dim(size: Any, symbols: Mapping[str, str]) -> Dim:
    """Return a size with the names that the user gives; without a name if it depends on other things."""
    if isinstance(size, int):
        return size
    parts = re.split(r"([a-z]+\d+)", str(size))
    if any(part not in symbols for part in parts[1::2]) or re.search(r"[A-Za-z]", "".join(parts[::2])):
        return None  # it depends on values, or in a way that takes functions to say
    return "".join(symbols.get(part, part) for part in parts)


def _export_failure(network: Network, dynamic: Dynamic, error: Exception) -> Exception:
    name, inputs = network.name, tuple(network.examples)
    fixed = sorted(set(re.findall(r"L\['tensors'\]\[(\d+)\]\.size\(\)\[(\d+)\]", str(error))))
    if fixed:
        sizes = [f"{dynamic[inputs[int(i)]][int(axis)]} (axis {axis} of {inputs[int(i)]})" for i, axis in fixed]
        return InputError(
            f"{name} has a size that cannot change as it shall: {', '.join(sizes)}. To torch.export, what the network "
            "does fixes it; leave it out of dynamic, or convert torch.jit.trace(network, inputs), which may keep it"
        )
    packed = [part for part in network.module.modules() if ".quantized." in type(part).__module__]
    if packed:
        kinds = ", ".join(sorted({type(part).__name__ for part in packed}))
        return UnsupportedModelError(f"{name} has layers that are quantised ({kinds}). {QUANTISED}")
    return UnsupportedModelError(
        f"torch.export cannot follow {name}: {gist(error)}. What a network does must not depend on the values of its "
        "tensors: torch.where, torch.cond and fixed sizes in place of if, loops and numbers taken out of tensors"
    )


def _forget_the_code(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of the Python code, with the paths of whoever exported."""
    for part in (*model.graph.node, *(node for function in model.functions for node in function.node),
                 *model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer,
                 model.graph, model):  # fmt: skip
        del part.metadata_props[:]
        part.doc_string = ""
