"""The model behind a session: a file, its bytes, or a graph; and whether the file is still the one that was opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from onepass._errors import InputError, ModelFormatError
from onepass.engine.plan import Plan
from onepass.engine.sidecar import sidecar_path
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph

Model: TypeAlias = str | os.PathLike[str] | bytes | OnnxGraph | Plan

# A file of this size is large whatever lies beside it; a smaller one is quickly read.
LARGE_BYTES = 32 << 20


def engine_in(model: Model) -> tuple[str, Path | bytes | Plan] | None:
    """Return the engine that a model is, with the name to call it by; None where it is none.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is of no known format, or damaged.
    """
    if isinstance(model, Plan):
        return (str(model.engine) if isinstance(model.engine, Path) else "the plan given"), model
    if isinstance(model, (bytes, bytearray, memoryview)):
        data = bytes(model)
        return ("the bytes given", data) if format_of(data) is Format.ENGINE else None
    if isinstance(model, (str, os.PathLike)):
        path = Path(model).absolute()
        # A sidecar says that it is one, whatever mark a later TensorRT may put at the beginning.
        if (path.is_file() and sidecar_path(path).is_file()) or format_of(model) is Format.ENGINE:
            return os.fspath(model), path
    return None


class ModelSource:
    """What `onepass.load` was given, checked to be a model that ONNX Runtime runs.

    Attributes:
        name: What to call it in messages.
        model: The absolute path, the bytes, or the graph.
        format: ONNX, or ONNX Runtime's own format.
    """

    def __init__(self, model: Model) -> None:
        """Look at the model.

        Raises:
            ModelNotFoundError: There is nothing at the path.
            ModelFormatError: It is another kind of file, or damaged.
            InputError: It is neither a path, nor bytes, nor a graph.
        """
        self.model: Path | bytes | OnnxGraph
        if isinstance(model, OnnxGraph):
            self.name, self.model, self.format = "the graph given", model, Format.ONNX
        elif isinstance(model, (bytes, bytearray, memoryview)):
            self.name, self.model = "the bytes given", bytes(model)
            self.format = _runnable(self.name, format_of(self.model))
        elif isinstance(model, (str, os.PathLike)):
            # Absolute, since the working directory may be another when the file is read again.
            self.name, self.model = os.fspath(model), Path(model).absolute()
            self.format = _runnable(self.name, format_of(model))
            self._files = _files_of(self.model, self.format)
            self._stamps = [_stamp(file) for file in self._files]
        else:
            raise InputError(
                f"a model is a path, the bytes of a file, an OnnxGraph or a Plan; got {type(model).__name__}. "
                "An onnx.ModelProto becomes a graph by OnnxGraph(proto)"
            )

    def graph(self) -> OnnxGraph:
        """Return the model as a graph; a file is read again.

        Raises:
            ModelFormatError: The file, or one with its weights, has changed since it was opened, or is gone.
        """
        if isinstance(self.model, OnnxGraph):
            return self.model
        if isinstance(self.model, bytes):
            return OnnxGraph.from_bytes(self.model, name=self.name)
        if [_stamp(file) for file in self._files] != self._stamps:
            raise ModelFormatError(
                f"{self.name} has changed since it was loaded, so a part of it cannot be prepared; load it again"
            )
        return OnnxGraph.load(self.model)

    def is_large(self) -> bool:
        """Whether the model, external weights included, is of `LARGE_BYTES` or more."""
        if isinstance(self.model, OnnxGraph):
            return self.model.size_bytes >= LARGE_BYTES
        if isinstance(self.model, bytes):
            return len(self.model) >= LARGE_BYTES
        return sum(file.stat().st_size for file in self._files) >= LARGE_BYTES


def _files_of(path: Path, kind: Format) -> list[Path]:
    """Return the model's file and those with its weights; a file that is large by itself is not read for them."""
    if kind is not Format.ONNX or path.stat().st_size >= LARGE_BYTES:
        return [path]
    graph = OnnxGraph.load(path)
    return [path] if graph.folder is None else [path, *(graph.folder / name for name in graph.weight_files)]


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what tells one state of a file from another; nothing where it is gone."""
    if not path.exists():
        return ()
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _runnable(name: str, kind: Format) -> Format:
    if kind not in (Format.ONNX, Format.ORT):
        raise ModelFormatError(f"{name} is {kind.value}; onepass.load runs ONNX models. Export it to ONNX first")
    return kind
