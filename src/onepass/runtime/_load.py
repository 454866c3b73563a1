"""Open a model on the backend that its content calls for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onepass._errors import InputError
from onepass.runtime._onnxruntime import OnnxRuntimeBackend
from onepass.runtime._source import Model, ModelSource, engine_in
from onepass.runtime._tensorrt import TensorRTBackend
from onepass.runtime.backend import Backend
from onepass.runtime.session import Session


def load(
    model: Model,
    *,
    providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
    threads: int | None = None,
    session_options: Any = None,
    device: int | None = None,
    flavor: str | None = None,
    contexts: int | None = None,
    weight_streaming_bytes: int | None = None,
) -> Session:
    """Open a model; the session that comes back gives every output by name.

    What the model is, is decided by its content, not by the file's ending. A TensorRT engine runs on an NVIDIA GPU, an
    ONNX model on ONNX Runtime. An engine is code: load those that you built or trust.

    Args:
        model: Path of a TensorRT engine or an ONNX (or ONNX Runtime ``.ort``) file, the bytes of one, an `OnnxGraph`,
            or the `Plan` that `onepass.build` returns. A sidecar ``<engine>.json`` beside an engine tells the model's
            own names, order and dtypes; an engine without one (trtexec's) has the engine's.
        providers: ONNX Runtime execution providers in order of preference, by ONNX Runtime's name
            (``"CUDAExecutionProvider"``) or in short (``"cuda"``), each alone or as ``(name, options)``. All must be
            there: none is left out silently. ``["cpu"]`` by default.
        threads: CPU threads for one call; they spin while they wait for work, as ONNX Runtime has it. By default one
            for models under 32 MB and otherwise as many as the process may use, which sleep while they wait.
        session_options: An ``onnxruntime.SessionOptions`` of your own in place of onepass's; excludes `threads`. It
            serves again when a call asks for some outputs only, and must not be changed meanwhile.
        device: For engines: the number of the GPU, from 0 (the default) among those that the process sees.
        flavor: For engines: which TensorRT runs it (``"tensorrt"``, ``"tensorrt_rtx"``, ``"tensorrt_lean"``,
            ``"tensorrt_dispatch"``). By default the one that the sidecar names, or the first that is installed.
        contexts: For engines: how many calls may run side by side, 4 by default; each takes memory for its
            computation from when it is first needed. Before TensorRT 8.6 there is one, and calls queue.
        weight_streaming_bytes: For engines built with weight streaming: how much of their weights stays on the GPU.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is damaged, or of a format that does not run here; the message says what it is.
        UnsupportedModelError: The model has strings or sequences at its edge, or operators ONNX Runtime lacks.
        EngineError: The engine was built by another version of TensorRT (`EngineVersionError`), for another GPU
            (`EngineDeviceError`), or is not the one its sidecar describes (`EngineMismatchError`).
        DeviceError: A provider is not available; or, for an engine, there is no GPU, no driver, or the installed
            TensorRT does not support that GPU.
        MissingExtraError: For an engine: no TensorRT, or no ``onepass[cuda]``, is installed.
        InputError: An argument is none of what is described above, or not for this kind of model.
    """
    for_onnx = {"providers": providers, "threads": threads, "session_options": session_options}
    for_engines = {
        "device": device, "flavor": flavor, "contexts": contexts, "weight_streaming_bytes": weight_streaming_bytes
    }  # fmt: skip
    engine = engine_in(model)
    backend: Backend
    if engine is not None:
        name, plan = engine
        backend = TensorRTBackend(plan, name=name, **_given(for_engines, not_for=for_onnx, kind="an engine"))
        return Session(backend, name=name)
    source = ModelSource(model)
    backend = OnnxRuntimeBackend(source, **_given(for_onnx, not_for=for_engines, kind="an ONNX model"))
    return Session(backend, name=source.name)


def _given(options: dict[str, Any], *, not_for: dict[str, Any], kind: str) -> dict[str, Any]:
    wrong = [name for name, value in not_for.items() if value is not None]
    if wrong:
        raise InputError(f"{wrong[0]}= is not for {kind}, which takes {'=, '.join(options)}=")
    return {name: value for name, value in options.items() if value is not None}
