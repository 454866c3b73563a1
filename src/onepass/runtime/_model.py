"""The model behind a session: what `onepass.load` was given, looked at once, and whether its file is still that one."""

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

if TYPE_CHECKING:  # it brings onnx, which running a model does not need
    from onepass.graph import OnnxGraph

    Model: TypeAlias = str | os.PathLike[str] | bytes | OnnxGraph | Plan
else:
    Model = Any

# A file of this size is large whatever lies beside it.
LARGE_BYTES = 32 << 20
# The key under which ONNX keeps the file of an external weight.
_LOCATION = b"location"


class ModelHandle:
    """What `onepass.load` was given, known to be of a format that runs.

    Attributes:
        name: What to call it in messages.
        model: The absolute path, the bytes, the graph or the plan.
        format: ONNX, ONNX Runtime's own format, or an engine.
    """

    def __init__(self, model: Model) -> None:
        """Look at the model.

        Raises:
            ModelNotFoundError: There is nothing at the path.
            ModelFormatError: It is another kind of file, or damaged.
            InputError: It is neither a path, nor bytes, nor a graph, nor a plan.
        """
        self.model: Path | bytes | OnnxGraph | Plan
        self._files: list[Path] = []
        self._stamps: list[tuple[int, ...]] = []
        if isinstance(model, Plan):
            name = str(model.engine) if isinstance(model.engine, Path) else "the plan given"
            self.name, self.model, self.format = name, model, Format.ENGINE
        elif is_graph(model):
            self.name, self.model, self.format = model.name, model, Format.ONNX
        elif isinstance(model, (bytes, bytearray, memoryview)):
            self.name, self.model = "the byte string", bytes(model)
            self.format = _runnable(self.name, format_of(self.model))
            if self.format is Format.ONNX and _LOCATION in self.model:
                self.graph().require_weights()
        elif isinstance(model, (str, os.PathLike)):
            # Absolute, since the working directory may be another when the file is read again.
            self.name, self.model = os.fspath(model), Path(model).absolute()
            self.format = _runnable(self.name, _format_at(self.model, model), path=self.model)
            if self.format is not Format.ENGINE:
                self._files = _files_of(self.model, self.format)
                self._stamps = [_stamp(file) for file in self._files]
        else:
            raise InputError(
                f"a model is a path, the bytes of a file, an OnnxGraph or a Plan; got {type(model).__name__}. "
                "An onnx.ModelProto becomes a graph by OnnxGraph(proto)"
            )

    def graph(self) -> OnnxGraph:
        """Return an ONNX model as a graph; a file is read again.

        Raises:
            ModelFormatError: The file, or one with its weights, has changed since it was opened, or is gone.
        """
        from onepass.graph import OnnxGraph  # noqa: PLC0415 - it brings onnx

        if is_graph(self.model):
            return self.model
        if isinstance(self.model, bytes):
            return OnnxGraph.from_bytes(self.model, name=self.name)
        if [_stamp(file) for file in self._files] != self._stamps:
            raise ModelFormatError(
                f"{self.name} has changed since it was loaded, so a part of it cannot be prepared; load it again"
            )
        assert isinstance(self.model, Path)  # noqa: S101 - a plan is no ONNX model
        return OnnxGraph.load(self.model)

    def onnx(self) -> Path | bytes | OnnxGraph:
        """Return an ONNX model as it was given; behind a link, with weights, as a graph that knows where these lie."""
        assert not isinstance(self.model, Plan)  # noqa: S101 - that is an engine
        if isinstance(self.model, Path) and len(self._files) > 1 and self.model.is_symlink():
            return self.graph()  # ONNX Runtime looks for weights beside the link alone
        return self.model

    def engine(self) -> Path | bytes | Plan:
        """Return an engine as it was given."""
        assert isinstance(self.model, (Path, bytes, Plan))  # noqa: S101 - a graph is an ONNX model
        return self.model

    def is_large(self) -> bool:
        """Whether an ONNX model, external weights included, is of `LARGE_BYTES` or more."""
        if is_graph(self.model):
            return self.model.size_bytes >= LARGE_BYTES
        if isinstance(self.model, bytes):
            return len(self.model) >= LARGE_BYTES
        return sum(file.stat().st_size for file in self._files) >= LARGE_BYTES


def is_graph(model: object) -> TypeGuard[OnnxGraph]:
    """Whether it is an `OnnxGraph`; where that class is not there, or not yet, nothing is."""
    kind = getattr(sys.modules.get("onepass.graph.model"), "OnnxGraph", None)
    return kind is not None and isinstance(model, kind)


def _format_at(path: Path, given: str | os.PathLike[str]) -> Format:
    # A sidecar says that it is an engine, whatever mark a later TensorRT may put at the beginning.
    return Format.ENGINE if path.is_file() and sidecar_files(path) else format_of(given)


def _files_of(path: Path, kind: Format) -> list[Path]:
    """Return the model's file and those with its weights, which must lie beside it.

    A model with functions is looked at too: not every runtime survives all that these may hold.
    """
    if kind is not Format.ONNX or not _may_hold_more(path):
        return [path]
    from onepass.graph import OnnxGraph  # noqa: PLC0415 - it brings onnx

    graph = OnnxGraph.load(path)
    return [path] if graph.folder is None else [path, *(graph.folder / name for name in graph.weight_files)]


def _may_hold_more(path: Path) -> bool:
    """Whether an ONNX file names another file or has functions; if not, it need not be parsed to know that."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_LOCATION) >= 0 or has_functions(file)


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what tells one state of a file from another; nothing where it is gone."""
    if not path.exists():
        return ()
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _runnable(name: str, kind: Format, *, path: Path | None = None) -> Format:
    if kind not in RUNNABLE:
        call = "" if path is None else f": onepass.convert({name!r}, 'model.onnx')"
        raise ModelFormatError(
            f"{name} is {kind.value}; onepass.load runs ONNX models and TensorRT engines. "
            f"Make it an ONNX model first{call}"
        )
    return kind
