"""The seam between onepass and the frameworks that networks are trained in.

A framework is a module ``onepass.source.frameworks.NAME`` with one function, ``open_(source, request) -> Trained``. It
runs in a process of its own, perhaps with another Python than the caller's, and so imports nothing of onepass but the
light modules: errors, tensors, graph, sampling. It raises `ModelFormatError` for a damaged source, `InputError` for a
request that does not fit it, `OutputNameError` or `UnsupportedModelError` where the message can say what is missing.
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
        """The framework's name, as people write it: ``"TensorFlow"``."""

    @property
    def version(self) -> str:
        """Version of the framework that opened it."""

    @property
    def signature(self) -> Signature:
        """Inputs and outputs as the source declares them: names, order, dtypes, shapes."""

    @property
    def examples(self) -> Mapping[str, Array]:
        """Inputs that the source brings along, by name; empty if it has none."""

    def export(self, opset: int) -> onnx.ModelProto:
        """Return the network as ONNX.

        Inputs and outputs are named as in `signature`; an output that has the name of an input is that input. The
        order of the outputs, names of dynamic sizes and constants to fold are seen to afterwards.

        Raises:
            UnsupportedModelError: An operator has no form in ONNX; the message names it.
        """

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network in its own framework: the reference that the ONNX model is held against.

        Args:
            inputs: One array for each input of `signature`.

        Returns:
            One array for each output of `signature`, by name, in any order.
        """


@dataclass(frozen=True, slots=True)
class Request:
    """How a source is to be opened. What a framework has no use for (`Framework.takes`) is refused beforehand.

    Attributes:
        signature: Which of a SavedModel's signatures; the only one, or ``serving_default``, where None.
        tag: Which of a SavedModel's graphs, by its tags, separated by commas; the one for serving where None.
        outputs: Names of the requested outputs. A source that does not say what its outputs are, or that has more
            tensors than those it declares, takes them for outputs; any other has no use for this.
        example_inputs: Inputs that the network runs on: an array or tensor, several of them in their order, or by name.
            PyTorch's modules need them; for any other they take the place of inputs that are made up.
        dynamic: Sizes that may change, for PyTorch modules: input name to axis to the size's name.
        timeout_s: Seconds that one run may take of a network that runs in this process.
    """

    signature: str | None = None
    tag: str | None = None
    outputs: tuple[str, ...] | None = None
    example_inputs: Any = None
    dynamic: Mapping[str, Mapping[int, str]] | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Framework:
    """Where a framework's module is, and what it needs.

    Attributes:
        name: As people write it.
        module: The module with ``open_``.
        extra: The extra of onepass that brings what it imports; None if nothing beyond onepass's own needs.
        imports: Modules that must be there for it.
        takes: Which attributes of `Request` it has a use for.
        opset: The version of ONNX's operators that its networks are written in where nobody asks for another.
        reference: Modules that must be there, too, where its networks are to be run.
        otherwise: What opens those files that it does not cover, if there are such: its module has ``covers``.
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
        """Whether this Python has the modules that the framework needs."""
        return all(find_spec(module) is not None for module in (*self.imports, *self.reference))

    @property
    def runs_code(self) -> bool:
        """Whether its files may hold code, so that they are opened in a process of their own."""
        return self.extra is not None

    def covering(self, source: Any, request: Request, opset: int) -> Framework:
        """Return what is to open a file of this framework's: this or, where this does not cover it, the other one.

        Raises:
            OnepassError: Neither opens it.
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
"""Which framework opens which format."""

_IN_MEMORY = {"torch": _TORCH}
"""By the package that a network in memory, or a class that it derives from, is defined in."""

_PICKLED = (
    "holds weights, or objects whose loading runs whatever code is in them, but no network to convert. Where the "
    "network's class is, make one, network.load_state_dict(torch.load(path, weights_only=True)), and convert that: "
    "onepass.convert(network, 'model.onnx', example_inputs=(image,)). Or save it as a program: "
    "torch.export.save(torch.export.export(network, (image,)), 'model.pt2')"
)
_ADVICE: Mapping[Format, str] = {Format.TORCH: _PICKLED, Format.PICKLE: _PICKLED}


def framework_of(source: Any) -> Framework:
    """Return the framework that opens a file, a folder, or a network in memory.

    Raises:
        UnsupportedModelError: None does; the message says what to do instead.
        InputError: It is an object, but no network.
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
    what = f"the class {source.__name__}" if isinstance(source, type) else f"a {type(source).__name__}"
    raise InputError(f"{what} is no network; expected a path, or PyTorch's module (an object) or exported program")


def require_trust(source: Any, *, trust: bool) -> None:
    """Let a file that is a program pass only where the user says that it can be trusted.

    Raises:
        UntrustedModelError: Nobody says so. What is in memory already has run what it had to run.
    """
    if trust or not isinstance(source, (str, os.PathLike)):
        return
    kind = format_of(source)
    if kind in PROGRAMS:
        raise UntrustedModelError(
            f"{os.fspath(source)} is {kind.value}, and such a file is a program: opening it runs what is in it. If you "
            "trust where it comes from, say so: trust=True"
        )


def source_name(source: Any) -> str:
    """What to call a source in a message: its path, or its type."""
    return str(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__} given"
