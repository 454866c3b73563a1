"""The seam between onepass and the frameworks that networks are trained in.

A framework is a module ``onepass.source.NAME`` with one function, ``open_(source, request) -> Trained``. It runs in a
process of its own, perhaps with another Python than the caller's, and so imports nothing of onepass but the light
modules: errors, tensors, graph, sampling. It raises `ModelFormatError` for a damaged source, `InputError` for a request
that does not fit it, `OutputNameError` or `UnsupportedModelError` where the message can say what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import onnx

from onepass.formats import Format
from onepass.outputs import Array
from onepass.tensors import Signature


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
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """For each input a shape that `run` takes; where a size is dynamic, any that makes sense."""

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
    """How a source is to be opened; what a framework has no use for it refuses with `refuse`.

    Attributes:
        signature: Which of a SavedModel's signatures; the only one, or ``serving_default``, where None.
        tag: Which of a SavedModel's graphs, by its tags, separated by commas; the one for serving where None.
        outputs: Names of the outputs wished for. A source that does not say what its outputs are, or that has more
            tensors than those it declares, takes them for outputs; any other has no use for this.
        example_inputs: Inputs that the network runs on: arrays by name or by position. PyTorch modules need them.
        dynamic: Sizes that may change, for PyTorch modules: input name to axis to the size's name.
    """

    signature: str | None = None
    tag: str | None = None
    outputs: tuple[str, ...] | None = None
    example_inputs: Mapping[str, Array] | Sequence[Array] | None = None
    dynamic: Mapping[str, Mapping[int, str]] | None = None


@dataclass(frozen=True, slots=True)
class Framework:
    """Where a framework's module is, and what it needs.

    Attributes:
        name: As people write it.
        module: The module with ``open_``.
        extra: The extra of onepass that brings what it imports; None if nothing beyond onepass's own needs.
        imports: Modules that must be there for it.
        takes: Which attributes of `Request` it has a use for.
    """

    name: str
    module: str
    extra: str | None = None
    imports: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()

    @property
    def is_here(self) -> bool:
        """Whether this Python has the modules that the framework needs."""
        return all(find_spec(module) is not None for module in self.imports)

    @property
    def runs_code(self) -> bool:
        """Whether its files may hold code, so that they are opened in a process of their own."""
        return self.extra is not None

    def open_(self, source: Any, request: Request) -> Trained:
        """Open a source with this framework, in this process."""
        opener = cast("Callable[[Any, Request], Trained]", import_module(self.module).open_)
        return opener(source, request)


_ONNX = Framework("ONNX", "onepass.source.onnx")
_GAZEML = Framework("GazeML", "onepass.source.gazeml")

_TFLITE = Framework(
    "TFLite",
    "onepass.source.tflite",
    extra="tflite",
    imports=("ai_edge_litert", "tensorflow", "tf2onnx"),
    takes=frozenset({"signature"}),
)

_TENSORFLOW = Framework(
    "TensorFlow",
    "onepass.source.tensorflow",
    extra="tensorflow",
    imports=("tensorflow", "tf2onnx"),
    takes=frozenset({"signature", "tag"}),
)
_KERAS = Framework("Keras", "onepass.source.keras", extra="tensorflow", imports=("keras", "tensorflow", "tf2onnx"))

FRAMEWORKS: Mapping[Format, Framework] = {
    Format.ONNX: _ONNX,
    Format.GAZEML: _GAZEML,
    Format.TFLITE: _TFLITE,
    Format.SAVED_MODEL: _TENSORFLOW,
    Format.FROZEN_GRAPH: _TENSORFLOW,
    Format.CHECKPOINT: _TENSORFLOW,
    Format.KERAS: _KERAS,
    Format.HDF5: _KERAS,
}
"""Which framework opens which format."""


def example_shapes(signature: Signature, *, batch: int = 2, size: int = 64) -> dict[str, tuple[int, ...]]:
    """Return a shape for each input: `batch` for a first size that is dynamic, `size` for any other that is."""
    return {
        spec.name: tuple(
            dim if isinstance(dim, int) else size if axis else batch for axis, dim in enumerate(spec.shape or ())
        )
        for spec in signature.inputs
    }


def source_name(source: Any) -> str:
    """What to call a source in a message: its path, or its type."""
    return str(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__} given"
