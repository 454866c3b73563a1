"""Open a model on the backend that its content calls for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onepass._errors import ModelFormatError
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.runtime._onnxruntime import OnnxRuntimeBackend
from onepass.runtime.session import Session


def load(
    model: str | os.PathLike[str] | bytes | OnnxGraph,
    *,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = ("cpu",),
    threads: int | None = None,
    session_options: Any = None,
) -> Session:
    """Open a model; the session that comes back gives every output by name.

    What the model is, is decided by its content, not by the file's ending. An ONNX model runs on ONNX Runtime.

    Args:
        model: Path of an ONNX (or ONNX Runtime ``.ort``) file, its bytes, or an `OnnxGraph`.
        providers: ONNX Runtime execution providers in order of preference, by ONNX Runtime's name
            (``"CUDAExecutionProvider"``) or in short (``"cuda"``), each alone or as ``(name, options)``. All must be
            there: none is left out silently.
        threads: CPU threads for one call. By default one for small models, where more only cost time, and otherwise
            as many as the process may use.
        session_options: An ``onnxruntime.SessionOptions`` of your own, used as it is; excludes `threads`.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is damaged, or of a format that does not run here; the message says what it is.
        UnsupportedModelError: The model has strings or sequences at its edge, or operators ONNX Runtime lacks.
        DeviceError: A provider is not available.
    """
    if isinstance(model, (str, os.PathLike)):
        _refuse_other_formats(Path(model))
    backend = OnnxRuntimeBackend(model, providers=providers, threads=threads, session_options=session_options)
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else "the model"
    return Session(backend, name=str(name))


def _refuse_other_formats(path: Path) -> None:
    kind = format_of(path)
    if kind is Format.ENGINE:
        raise ModelFormatError(
            f"{path} is {kind.value}; this version of onepass runs ONNX models only. "
            "Load the ONNX file that the engine was built from"
        )
    if kind not in (Format.ONNX, Format.ORT):
        raise ModelFormatError(f"{path} is {kind.value}; onepass.load runs ONNX models. Export it to ONNX first")
