"""The model behind a session: a file, its bytes, or a graph; and whether the file is still the one that was opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from onepass._errors import InputError, ModelFormatError
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph

Model: TypeAlias = str | os.PathLike[str] | bytes | OnnxGraph

# A file of this size is large whatever lies beside it; a smaller one is quickly read.
LARGE_BYTES = 32 << 20


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
            self._stamp = _stamp(self.model)
        else:
            raise InputError(
                f"a model is a path, the bytes of a file, or an OnnxGraph; got {type(model).__name__}. "
                "An onnx.ModelProto becomes a graph by OnnxGraph(proto)"
            )

    def graph(self) -> OnnxGraph:
        """Return the model as a graph; a file is read again.

        Raises:
            ModelFormatError: The file has changed since it was opened, or is gone.
        """
        if isinstance(self.model, OnnxGraph):
            return self.model
        if isinstance(self.model, bytes):
            return OnnxGraph.from_bytes(self.model, name=self.name)
        if not self.model.exists() or _stamp(self.model) != self._stamp:
            raise ModelFormatError(
                f"{self.name} has changed since it was loaded, so a part of it cannot be prepared; load it again"
            )
        return OnnxGraph.load(self.model)

    def is_large(self) -> bool:
        """Whether the model, external weights included, is of `LARGE_BYTES` or more."""
        if isinstance(self.model, OnnxGraph):
            size = self.model.size_bytes
        else:
            size = self.model.stat().st_size if isinstance(self.model, Path) else len(self.model)
            if size < LARGE_BYTES and self.format is Format.ONNX:
                size = self.graph().size_bytes
        return size >= LARGE_BYTES


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _runnable(name: str, kind: Format) -> Format:
    if kind is Format.ENGINE:
        raise ModelFormatError(
            f"{name} is {kind.value}; this version of onepass runs ONNX models only. "
            "Load the ONNX file that the engine was built from"
        )
    if kind not in (Format.ONNX, Format.ORT):
        raise ModelFormatError(f"{name} is {kind.value}; onepass.load runs ONNX models. Export it to ONNX first")
    return kind
