"""The model of a session: its format, and whether its files have changed since it was opened."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from onepass._errors import InputError, ModelFormatError
from onepass.engine.plan import Plan
from onepass.engine.sidecar import sidecar_files
from onepass.formats import RUNNABLE, Format, format_of, has_functions

if TYPE_CHECKING:  # imports onnx, which running a model does not need
    from onepass.graph import OnnxGraph

    Model: TypeAlias = str | os.PathLike[str] | bytes | OnnxGraph | Plan
else:
    Model = Any

# Models of at least this size are large.
LARGE_BYTES = 32 << 20
# ONNX's key for the file of an external weight.
_LOCATION = b"location"


class ModelHandle:
    """The argument of `onepass.load`, checked to have a format that runs.

    Attributes:
        name: Name of the model in messages.
        model: The absolute path, the bytes, the graph or the plan.
        format: ONNX, ONNX Runtime's own format, or an engine.
    """

    def __init__(self, model: Model) -> None:
        """Inspect the model.

        Raises:
            ModelNotFoundError: Nothing exists at the path.
            ModelFormatError: The file has another format, or is damaged.
            InputError: The model is neither a path, nor bytes, nor a graph, nor a plan.
        """
        self.model: Path | bytes | OnnxGraph | Plan
        self._files: list[Path] = []
        self._stamps: list[tuple[int, ...]] = []
        if isinstance(model, Plan):
            name = str(model.engine) if isinstance(model.engine, Path) else "the plan"
            self.name, self.model, self.format = name, model, Format.ENGINE
        elif is_graph(model):
            self.name, self.model, self.format = model.name, model, Format.ONNX
        elif isinstance(model, (bytes, bytearray, memoryview)):
            self.name, self.model = "the byte string", bytes(model)
            self.format = _runnable(self.name, format_of(self.model))
            if self.format is Format.ONNX and _LOCATION in self.model:
                self.graph().require_weights()
        elif isinstance(model, (str, os.PathLike)):
            # Absolute, because the working directory may have changed when the file is read again.
            self.name, self.model = os.fspath(model), Path(model).absolute()
            self.format = _runnable(self.name, _format_at(self.model, model), path=self.model)
            if self.format is not Format.ENGINE:
                self._files = _files_of(self.model, self.format)
                self._stamps = [_stamp(file) for file in self._files]
        else:
            raise InputError(
                f"model: expected a path, the bytes of a file, an OnnxGraph or a Plan, got {type(model).__name__}. "
                "Convert an onnx.ModelProto with OnnxGraph(proto)"
            )

    def graph(self) -> OnnxGraph:
        """Return an ONNX model as a graph; a file is read again.

        Raises:
            ModelFormatError: The file or a weight file has changed since it was opened, or no longer exists.
        """
        from onepass.graph import OnnxGraph  # noqa: PLC0415 - imports onnx

        if is_graph(self.model):
            return self.model
        if isinstance(self.model, bytes):
            return OnnxGraph.from_bytes(self.model, name=self.name)
        if [_stamp(file) for file in self._files] != self._stamps:
            raise ModelFormatError(
                f"{self.name} has changed since it was loaded, so outputs cannot be selected; load it again"
            )
        assert isinstance(self.model, Path)  # noqa: S101 - a plan is not an ONNX model
        return OnnxGraph.load(self.model)

    def onnx(self) -> Path | bytes | OnnxGraph:
        """Return an ONNX model as given; a link to a model with external weights becomes a graph with their folder."""
        assert not isinstance(self.model, Plan)  # noqa: S101 - a plan is an engine
        if isinstance(self.model, Path) and len(self._files) > 1 and self.model.is_symlink():
            return self.graph()  # ONNX Runtime looks for weights only beside the link
        return self.model

    def engine(self) -> Path | bytes | Plan:
        """Return an engine as given."""
        assert isinstance(self.model, (Path, bytes, Plan))  # noqa: S101 - a graph is an ONNX model
        return self.model

    def is_large(self) -> bool:
        """Whether an ONNX model, including external weights, has at least `LARGE_BYTES`."""
        if is_graph(self.model):
            return self.model.size_bytes >= LARGE_BYTES
        if isinstance(self.model, bytes):
            return len(self.model) >= LARGE_BYTES
        return sum(file.stat().st_size for file in self._files) >= LARGE_BYTES


def is_graph(model: object) -> TypeGuard[OnnxGraph]:
    """Whether a model is an `OnnxGraph`, without importing the class: if it is not imported yet, nothing is one."""
    kind = getattr(sys.modules.get("onepass.graph.model"), "OnnxGraph", None)
    return kind is not None and isinstance(model, kind)


def _format_at(path: Path, given: str | os.PathLike[str]) -> Format:
    # A file with a sidecar is an engine, whatever magic bytes a later TensorRT may use.
    return Format.ENGINE if path.is_file() and sidecar_files(path) else format_of(given)


def _files_of(path: Path, kind: Format) -> list[Path]:
    """Return the model's file and its weight files, which must be beside it.

    A model with functions is checked, too: invalid functions crash some runtimes.
    """
    if kind is not Format.ONNX or not _may_hold_more(path):
        return [path]
    from onepass.graph import OnnxGraph  # noqa: PLC0415 - imports onnx

    graph = OnnxGraph.load(path)
    return [path] if graph.folder is None else [path, *(graph.folder / name for name in graph.weight_files)]


def _may_hold_more(path: Path) -> bool:
    """Whether an ONNX file may refer to other files or has functions; checked without parsing it."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_LOCATION) >= 0 or has_functions(file)


def _stamp(path: Path) -> tuple[int, ...]:
    """Return values that identify the state of a file; an empty tuple if it does not exist."""
    if not path.exists():
        return ()
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _runnable(name: str, kind: Format, *, path: Path | None = None) -> Format:
    if kind not in RUNNABLE:
        call = "" if path is None else f": onepass.convert({name!r}, 'model.onnx')"
        raise ModelFormatError(
            f"{name} is {kind.value}, but onepass.load opens only ONNX models and TensorRT engines. "
            f"Convert it to ONNX first{call}"
        )
    return kind
