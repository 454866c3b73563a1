"""The interface between onepass and the frameworks that networks are trained in.

A framework is a module ``onepass.source.frameworks.NAME`` with one function, ``open_(source, request) -> Trained``. It
runs in its own process, possibly with another Python than the caller's, and therefore imports only the light modules of
onepass: errors, tensors, graph, sampling. It raises `ModelFormatError` for a damaged source, `InputError` for a request
that does not match the source, and `OutputNameError` or `UnsupportedModelError` if the message can say what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from onepass._errors import InputError, UnsupportedModelError, UntrustedModelError
from onepass.formats import PROGRAMS, Format, format_of
from onepass.outputs import Array
from onepass.tensors import Signature

if TYPE_CHECKING:
    import onnx


class Trained(Protocol):
    """A trained network, opened by the framework that wrote it."""

    @property
    def framework(self) -> str:
        """The framework's name: ``"TensorFlow"``."""

    @property
    def version(self) -> str:
        """The framework's version."""

    @property
    def signature(self) -> Signature:
        """Inputs and outputs as the source declares them: names, order, dtypes, shapes."""

    @property
    def examples(self) -> Mapping[str, Array]:
        """The source's own example inputs, by name; empty if it has none."""

    def export(self, opset: int) -> onnx.ModelProto:
        """Return the network as ONNX.

        Inputs and outputs are named as in `signature`; an output with the name of an input is that input. Later steps
        handle the order of the outputs, names of dynamic sizes, and constant folding.

        Raises:
            UnsupportedModelError: An operator cannot be expressed in ONNX; the message names it.
        """

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network in its own framework, as the reference for the ONNX model.

        Args:
            inputs: One array for each input of `signature`.

        Returns:
            One array for each output of `signature`, by name, in any order.
        """


@dataclass(frozen=True, slots=True)
class Request:
    """How to open a source. Options that the framework does not support (`Framework.takes`) are refused beforehand.

    Attributes:
        signature: The SavedModel signature; None for the only one, or ``serving_default``.
        tag: The SavedModel graph, by its comma-separated tags; None for the serving graph.
        outputs: Names of the requested outputs. Used by sources that do not declare their outputs, or that can return
            other tensors as well; ignored by all others.
        example_inputs: Inputs that the network accepts: an array or tensor, several in order, or a mapping by name.
            Required for PyTorch modules; for other networks, they replace random inputs.
        dynamic: Dynamic sizes of PyTorch modules: maps input name to axis to the size's name.
        timeout_s: Time limit in seconds for one run of a network that runs in this process.
    """

    signature: str | None = None
    tag: str | None = None
    outputs: tuple[str, ...] | None = None
    example_inputs: Any = None
    dynamic: Mapping[str, Mapping[int, str]] | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework's module and its requirements.

    Attributes:
        name: The framework's name.
        module: The module with ``open_``.
        extra: The extra that installs its imports; None if onepass's own requirements suffice.
        imports: Modules that it requires.
        takes: The attributes of `Request` that it supports.
        opset: The default opset.
        reference: Further modules that are required to run networks.
        otherwise: The fallback for files that this framework does not cover; the module then has ``covers``.
    """

    name: str
    module: str
    extra: str | None = None
    imports: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    opset: int = 17
    reference: tuple[str, ...] = ()
    otherwise: Framework | None = None

    @property
    def is_here(self) -> bool:
        """Whether this Python has the required modules."""
        return all(find_spec(module) is not None for module in (*self.imports, *self.reference))

    @property
    def runs_code(self) -> bool:
        """Whether its files may contain code, and therefore have to be opened in a separate process."""
        return self.extra is not None

    def covering(self, source: Any, request: Request, opset: int) -> Framework:
        """Return this framework if it covers the file, otherwise the fallback.

        Raises:
            OnepassError: Neither can open the file.
        """
        if self.otherwise is None:
            return self
        if any(find_spec(module) is None for module in self.imports):
            return self.otherwise
        covers = cast("Callable[[Any, Request, int], bool]", import_module(self.module).covers)
        return self if covers(source, request, opset) else self.otherwise

    def open_(self, source: Any, request: Request) -> Trained:
        """Open a source with this framework, in this process."""
        opener = cast("Callable[[Any, Request], Trained]", import_module(self.module).open_)
        return opener(source, request)


_ONNX = Framework("ONNX", "onepass.source.frameworks.onnx")
_GAZEML = Framework("GazeML", "onepass.source.frameworks.gazeml")

_TFLITE = Framework(
    "TFLite",
    "onepass.source.frameworks.tflite._light",
    extra="tflite",
    imports=("tflite",),
    takes=frozenset({"signature"}),
    reference=("ai_edge_litert",),
    otherwise=Framework(
        "TFLite",
        "onepass.source.frameworks.tflite._with_tensorflow",
        extra="tensorflow,tflite",
        imports=("tflite", "ai_edge_litert", "tensorflow", "tf2onnx"),
        takes=frozenset({"signature"}),
    ),
)
_TORCH = Framework(
    "PyTorch",
    "onepass.source.frameworks.torch",
    extra="torch",
    imports=("torch", "onnxscript"),
    takes=frozenset({"dynamic"}),
    opset=18,
)

_TENSORFLOW = Framework(
    "TensorFlow",
    "onepass.source.frameworks.tensorflow",
    extra="tensorflow",
    imports=("tensorflow", "tf2onnx"),
    takes=frozenset({"signature", "tag"}),
)
_KERAS = Framework(
    "Keras", "onepass.source.frameworks.keras", extra="tensorflow", imports=("keras", "tensorflow", "tf2onnx")
)

FRAMEWORKS: Mapping[Format, Framework] = {
    Format.ONNX: _ONNX,
    Format.GAZEML: _GAZEML,
    Format.TFLITE: _TFLITE,
    Format.TORCH_PROGRAM: _TORCH,
    Format.TORCHSCRIPT: _TORCH,
    Format.SAVED_MODEL: _TENSORFLOW,
    Format.FROZEN_GRAPH: _TENSORFLOW,
    Format.CHECKPOINT: _TENSORFLOW,
    Format.KERAS: _KERAS,
    Format.HDF5: _KERAS,
}
"""The framework for each format."""

_IN_MEMORY = {"torch": _TORCH}
"""The framework for networks in memory, by the package that defines their class or a base class."""

_PICKLED = (
    "contains weights, or objects whose loading executes arbitrary code, but no network to convert. Where its class "
    "is available, create the network, call network.load_state_dict(torch.load(path, weights_only=True)), and "
    "convert it: onepass.convert(network, 'model.onnx', example_inputs=(image,)). Or save it as a program: "
    "torch.export.save(torch.export.export(network, (image,)), 'model.pt2')"
)
_ADVICE: Mapping[Format, str] = {Format.TORCH: _PICKLED, Format.PICKLE: _PICKLED}


def framework_of(source: Any) -> Framework:
    """Return the framework for a file, a folder, or a network in memory.

    Raises:
        UnsupportedModelError: No framework supports the file; the message says what to do instead.
        InputError: The object is not a network.
    """
    if isinstance(source, (str, os.PathLike)):
        kind = format_of(source)
        if kind in FRAMEWORKS:
            return FRAMEWORKS[kind]
        advice = _ADVICE.get(kind, "cannot be converted to ONNX")
        raise UnsupportedModelError(f"{os.fspath(source)} is {kind.value}, which {advice}")
    for each in type(source).__mro__:
        package = each.__module__.partition(".")[0]
        if package in _IN_MEMORY:
            return _IN_MEMORY[package]
    what = f"the class {source.__name__}" if isinstance(source, type) else f"an object of type {type(source).__name__}"
    raise InputError(
        f"{what} is not a network; expected a path, a PyTorch module (an instance), or an exported program"
    )


def require_trust(source: Any, *, trust: bool) -> None:
    """Refuse a file that is a program unless the user trusts it.

    Raises:
        UntrustedModelError: The file is a program, and `trust` is not set. Networks in memory have run already.
    """
    if trust or not isinstance(source, (str, os.PathLike)):
        return
    kind = format_of(source)
    if kind in PROGRAMS:
        raise UntrustedModelError(
            f"{os.fspath(source)} is {kind.value}; opening such a file executes the code in it. If you trust its "
            "origin, pass trust=True"
        )


def source_name(source: Any) -> str:
    """Return the name of a source for messages: its path, or its type."""
    return str(source) if isinstance(source, (str, Path)) else f"the given {type(source).__name__}"
