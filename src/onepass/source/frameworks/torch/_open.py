"""PyTorch: exported programs (``.pt2``), TorchScript, and modules in memory.

A module is exported with ``torch.export`` and written by ``torch.onnx.export(dynamo=True)``; an exported program is a
module like any other. TorchScript loses its changing sizes on that way, and goes through the tracing exporter, which
PyTorch still has for it.

Outputs may be nested: dicts, lists, tuples, dataclasses. Their names come from there: ``boxes``, ``masks.0``.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch.utils import _pytree as pytree

from onepass._errors import InputError, ModelFormatError, ModelNotFoundError
from onepass.formats import Format, format_of
from onepass.outputs import Array
from onepass.source.framework import Request, Trained, source_name
from onepass.source.frameworks.torch._exported import Exported
from onepass.source.frameworks.torch._network import Network, argument_names
from onepass.source.frameworks.torch._onnx import Dynamic
from onepass.source.frameworks.torch._pickles import no_pickled_code
from onepass.source.frameworks.torch._quiet import gist, quiet
from onepass.source.frameworks.torch._tensors import array_from_tensor, tensor_from_array
from onepass.source.frameworks.torch._traced import Traced
from onepass.tensors import no_such_name


class _Torch:
    """A PyTorch network."""

    framework = "PyTorch"
    version = str(torch.__version__)

    def __init__(self, network: Network, dynamic: Dynamic) -> None:
        self._network = network
        kind = Traced if isinstance(network.module, torch.jit.ScriptModule) else Exported
        with _evaluating(network.module):
            self._onnx = kind(network, dynamic)
        self.signature = self._onnx.signature
        self.examples: Mapping[str, Array] = {
            name: array_from_tensor(tensor) for name, tensor in network.examples.items()
        }

    def export(self, opset: int) -> onnx.ModelProto:
        """Export the network to ONNX."""
        with _evaluating(self._network.module):
            return self._onnx.write(opset)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network in PyTorch."""
        device = _device_of(self._network.module)
        with quiet(), _evaluating(self._network.module):
            outputs = self._network({name: tensor_from_array(inputs[name]).to(device) for name in self.examples})
        return {name: array_from_tensor(tensor) for name, tensor in outputs.items()}


def open_(source: Any, request: Request) -> Trained:
    """Open a file, or a module or exported program in memory.

    Raises:
        ModelFormatError: The file is damaged, or from an incompatible PyTorch version.
        InputError: The example inputs are missing, or the network rejects them.
        UnsupportedModelError: The network cannot be exported, or returns something other than tensors.
    """
    name = source_name(source)
    module = _loaded(source) if isinstance(source, Path) else source
    if not isinstance(module, (torch.nn.Module, torch.export.ExportedProgram)):
        raise InputError(f"{name} is not a network; expected a torch.nn.Module, an exported program, or a path")
    if isinstance(module, torch.export.ExportedProgram):
        return _from_program(module, request, name)
    if request.example_inputs is None:
        raise InputError(
            f"{name} does not contain the shapes of its inputs; provide inputs that it accepts: "
            "example_inputs=(image,) or {'image': image}"
        )
    args, kwargs = _arguments(request.example_inputs, _device_of(module))
    with quiet(), _evaluating(module):
        network = Network(module, args, kwargs, name=name, chosen=request.outputs)
    return _Torch(network, _checked(request.dynamic or {}, network))


def _loaded(path: Path) -> Any:
    if not path.exists():
        raise ModelNotFoundError(f"no model file at {path}")
    try:
        with quiet():
            if format_of(path) is Format.TORCH_PROGRAM:
                with no_pickled_code():
                    return torch.export.load(path)
            jit: Any = torch.jit
            return jit.load(path, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ModelFormatError(
            f"refused {path}: it contains pickled Python objects besides its tensors, and loading them would execute "
            "arbitrary code. Export it again, with tensors for its inputs and constants"
        ) from error
    except Exception as error:
        raise ModelFormatError(
            f"PyTorch {torch.__version__} cannot read {path}: {gist(error)}. It is damaged, or from another version"
        ) from error


def _from_program(program: torch.export.ExportedProgram, request: Request, name: str) -> Trained:
    """Open an exported program, which has its own examples and dynamic sizes."""
    if request.example_inputs is not None or request.dynamic is not None:
        raise InputError(
            f"{name} is an exported program, which contains its example inputs and dynamic sizes; omit example_inputs "
            "and dynamic, or pass them to torch.export.export (example inputs, dynamic_shapes)"
        )
    if program.example_inputs is None:
        raise InputError(f"{name} was saved without its example inputs; save it again with torch.export.save")
    args, kwargs = program.example_inputs
    with quiet():
        # Guards would reject a batch of one if the program was exported with two.
        module = program.module(check_guards=False)
        network = Network(module, args, kwargs, name=name, chosen=request.outputs)
    nodes = pytree.tree_unflatten(program.graph_signature.user_inputs, program.call_spec.in_spec)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = {key: values.get(node) for key, node in argument_names(network.module, *nodes).items()}
    return _Torch(network, _named_sizes({key: inputs[key] for key in network.examples}))


def _named_sizes(inputs: Mapping[str, Any]) -> Dynamic:
    """Name an exported program's dynamic sizes: N for the first one on a first axis, otherwise by input and axis."""
    names: dict[str, str] = {}
    dynamic: dict[str, dict[int, str]] = {}
    for name, tensor in inputs.items():
        for axis, size in enumerate(tensor.shape):
            if not isinstance(size, int):
                plain = "N" if axis == 0 and "N" not in names.values() else f"{name}_{axis}"
                dynamic.setdefault(name, {})[axis] = names.setdefault(str(size), plain)
    return dynamic


def _arguments(examples: Any, device: torch.device) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example inputs as arguments by position and by name."""

    def moved(value: Any) -> Any:
        return pytree.tree_map(lambda leaf: _on(tensor_from_array(leaf), device), value)

    if isinstance(examples, Mapping):
        return (), {name: moved(value) for name, value in examples.items()}
    if isinstance(examples, (list, tuple)):
        return tuple(map(moved, examples)), {}
    return (moved(examples),), {}


def _on(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _checked(dynamic: Dynamic, network: Network) -> Dynamic:
    """Return the dynamic sizes with non-negative axes.

    Raises:
        InputError: The input or axis does not exist.
    """
    checked: dict[str, dict[int, str]] = {}
    for name, axes in dynamic.items():
        if name not in network.examples:
            raise InputError(f"dynamic: {no_such_name('input', name, tuple(network.examples))}")
        rank = network.examples[name].ndim
        for axis, size in axes.items():
            if not -rank <= axis < rank:
                raise InputError(f"dynamic: input {name!r} has no axis {axis}; its {rank} axes are numbered from 0")
            checked.setdefault(name, {})[axis % rank] = size
    return checked


def _device_of(module: Any) -> torch.device:
    tensor: torch.Tensor | None = next(itertools.chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Disable dropout and batch statistics, and restore them afterwards."""
    if isinstance(module, torch.fx.GraphModule):  # an exported program has no training mode
        yield
        return
    training = [part for part in module.modules() if getattr(part, "training", False)]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True
