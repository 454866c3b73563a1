"""Open a model on the backend that its content calls for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onepass.runtime._onnxruntime import OnnxRuntimeBackend
from onepass.runtime._source import Model, ModelSource
from onepass.runtime.session import Session


def load(
    model: Model,
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
        threads: CPU threads for one call; they spin while they wait for work, as ONNX Runtime has it. By default one
            for models under 32 MB and otherwise as many as the process may use, which sleep while they wait.
        session_options: An ``onnxruntime.SessionOptions`` of your own in place of onepass's; excludes `threads`. It
            serves again when a call asks for some outputs only, and must not be changed meanwhile.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is damaged, or of a format that does not run here; the message says what it is.
        UnsupportedModelError: The model has strings or sequences at its edge, or operators ONNX Runtime lacks.
        DeviceError: A provider is not available.
        InputError: An argument is none of what is described above.
    """
    source = ModelSource(model)
    backend = OnnxRuntimeBackend(source, providers=providers, threads=threads, session_options=session_options)
    return Session(backend, name=source.name)
