"""From a PyTorch network to ONNX: by ``torch.export`` for modules, by tracing for TorchScript."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import onnx
import torch
from onnx import version_converter

from onepass._errors import InputError, UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.source._edges import with_edges
from onepass.source.frameworks.torch._network import Network, dtype_of, gist, quiet
from onepass.tensors import Dim, Signature, TensorSpec

Dynamic: TypeAlias = Mapping[str, Mapping[int, str]]
"""Sizes that may change: input to axis to the size's name."""

FIRST_OPSET = 18
"""The oldest that PyTorch writes for exported programs; what is older is made of it afterwards."""
_LAST_TRACED_OPSET = 20
_MISSING = re.compile(
    r"No ONNX function found for <OpOverload\(op='([\w.:]+)'|(?:the operator '|unrecognized namespace )([\w:]+)"
)


class _Flat(torch.nn.Module):
    """A network that takes tensors one after the other and returns a tuple of them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module = network.module
        self._network = network

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the network."""
        return tuple(self._network(dict(zip(self._network.examples, tensors, strict=True))).values())


# ---- torch.export ----------------------------------------------------------------------------------------------------


class Exported:
    """A network as ``torch.export`` sees it.

    Attributes:
        signature: Its inputs and outputs.
    """

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        """Export the network.

        Raises:
            InputError: A size that shall change cannot.
            UnsupportedModelError: ``torch.export`` cannot follow what the network does.
        """
        self._network = network
        names = tuple(network.examples)
        axes = tuple(dict.fromkeys(dynamic.get(name, {}), torch.export.Dim.DYNAMIC) for name in names)
        try:
            with quiet():
                self._program = torch.export.export(
                    _Flat(network), tuple(_widened(network.examples, dynamic).values()), strict=False,
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
                    self._program, dynamo=True, opset_version=max(opset, FIRST_OPSET), verbose=False
                )
        except Exception as error:
            raise _no_form(self._network.name, error) from error
        model = written.model_proto
        _forget_the_source(model)
        return _with_signature(_in_opset(model, opset), self.signature)


def _widened(examples: Mapping[str, torch.Tensor], dynamic: Dynamic) -> dict[str, torch.Tensor]:
    """Return the examples with two in place of one where the size shall change: one is taken for a constant."""
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
    return UnsupportedModelError(
        f"torch.export cannot follow {name}: {gist(error)}. What a network does must not depend on the values of its "
        "tensors: torch.where, torch.cond and fixed sizes in place of if, loops and numbers taken out of tensors"
    )


# ---- tracing ---------------------------------------------------------------------------------------------------------


class Traced:
    """A TorchScript network; control flow that is scripted stays as it is.

    Attributes:
        signature: Its inputs and outputs.
    """

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        """Find out which sizes of the outputs change with those of the inputs."""
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
            UnsupportedModelError: An operator has no form in ONNX, or not in that opset.
        """
        examples = tuple(self._network.examples.values())
        file: Any = io.BytesIO()  # the declared types know paths only
        jit: Any = torch.jit
        try:
            with quiet():
                flat = jit.trace(_Flat(self._network), examples, check_trace=False, strict=False)
                torch.onnx.export(
                    flat, examples, file, dynamo=False, opset_version=min(opset, _LAST_TRACED_OPSET),
                    input_names=list(self._network.examples), output_names=list(self._network.outputs),
                    dynamic_axes={name: dict(axes) for name, axes in self._dynamic.items()},
                )  # fmt: skip
        except Exception as error:
            raise _no_form(self._network.name, error) from error
        return _with_signature(_in_opset(onnx.load_from_string(file.getvalue()), opset), self.signature)

    def _output_shapes(self) -> Iterator[tuple[Dim, ...]]:
        """Run the network with other sizes, and see which of the outputs' change."""
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


# ---- both ------------------------------------------------------------------------------------------------------------


def _no_form(name: str, error: Exception) -> UnsupportedModelError:
    found = _MISSING.search(str(error)) or _MISSING.search(str(error.__cause__))
    if found:
        return UnsupportedModelError(f"{name} uses {found[1] or found[2]}, for which PyTorch has no form in ONNX")
    reason = gist(error.__cause__ or error)
    return UnsupportedModelError(f"PyTorch {torch.__version__} cannot write {name} as ONNX: {reason}")


def _forget_the_source(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of the Python code, with the paths of whoever exported."""
    for part in (*model.graph.node, *(node for function in model.functions for node in function.node),
                 *model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer,
                 model.graph, model):  # fmt: skip
        del part.metadata_props[:]
        part.doc_string = ""


def _in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
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


def _with_signature(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """Return the model with the names and sizes that it shall have at its edges."""
    ends: list[tuple[Sequence[onnx.ValueInfoProto], tuple[TensorSpec, ...]]] = [
        (model.graph.input, signature.inputs), (model.graph.output, signature.outputs)]  # fmt: skip
    names = dict(zip(signature.input_names, (value.name for value in model.graph.input), strict=True))
    for value, spec in zip(model.graph.output, signature.outputs, strict=True):
        value.name = names.get(spec.name, value.name)  # it is that input: the exporter has a copy of it
    inputs, outputs = ({value.name: spec.name for value, spec in zip(*end, strict=True)} for end in ends)
    model = with_edges(model, inputs=inputs, outputs=outputs)
    for values, specs in ((model.graph.input, signature.inputs), (model.graph.output, signature.outputs)):
        for value, spec in zip(values, specs, strict=True):
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            for dim in spec.shape or ():
                entry = shape.dim.add()
                if isinstance(dim, int):
                    entry.dim_value = dim
                elif dim is not None:
                    entry.dim_param = dim
    return model
