"""Open a model on the backend that its content calls for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from onepass._errors import InputError
from onepass.artifacts import path_tuple
from onepass.formats import Format
from onepass.runtime._model import Model, ModelHandle
from onepass.runtime.backend import BackendBase
from onepass.runtime.session import Session
from onepass.runtime.spec import BackendName, Devices, ModelSpec, Optimize, Provider
from onepass.tensors import warn_of_left_out


def load(
    model: Model | ModelSpec,
    *,
    backend: BackendName | None = None,
    providers: Sequence[Provider] | None = None,
    threads: int | None = None,
    optimize: Optimize | None = None,
    session_options: Any = None,
    tf32: bool | None = None,
    device: Devices | None = None,
    flavor: str | None = None,
    contexts: int | None = None,
    keep_bytes: int | None = None,
    plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    weights: str | os.PathLike[str] | None = None,
    weight_streaming_bytes: int | None = None,
) -> Session:
    """Open a model; the session that comes back gives every output by name.

    What the model is, is decided by its content, not by the file's ending. A TensorRT engine runs on an NVIDIA GPU, an
    ONNX model on ONNX Runtime. An engine is code: load those that you built or trust.

    Strings are NumPy arrays of ``str`` objects. Outputs that are sequences, maps or optionals are left out, with an
    `LeftOutWarning`, where others remain.

    Args:
        model: Path of a TensorRT engine or an ONNX (or ONNX Runtime ``.ort``) file, the bytes of one, an `OnnxGraph`,
            the `Plan` that `onepass.build` returns, or a `ModelSpec`, which holds the other arguments too. A sidecar
            ``<engine>.json`` beside an engine tells the model's own names, order and dtypes; an engine without one
            (trtexec's) has the engine's.
        backend: The backend that has to run the model, ``"onnxruntime"`` or ``"tensorrt"``. By default its content
            decides; nothing is converted for another backend.
        providers: ONNX Runtime execution providers in order of preference, by ONNX Runtime's name
            (``"CUDAExecutionProvider"``) or in short (``"cuda"``), each alone or as ``(name, options)``. All must be
            there: none is left out silently. ``["cpu"]`` by default.
        threads: CPU threads for one call; they spin while they wait for work, as ONNX Runtime has it. By default one
            for models under 32 MB and otherwise as many as the process may use, which sleep while they wait.
        optimize: How much ONNX Runtime rewrites the graph: ``"all"``, ``"basic"`` (what keeps to standard operators) or
            ``"none"``. By default all of it; a valid model that the optimiser breaks is opened with less, and `report`
            says with how much.
        session_options: An ``onnxruntime.SessionOptions`` of your own in place of onepass's; excludes `threads` and
            `optimize`. It serves again when a call asks for some outputs only, and must not be changed meanwhile.
        tf32: With ``providers=["cuda"]``: whether float32 products may be rounded to TF32, which is quicker and good to
            about three digits. By default they are not, as on the CPU.
        device: For engines and ``providers=["cuda"]``: the number of the GPU, from 0 (the default) among those that the
            process sees; or a list of such numbers, or ``"all"``, and each call goes to a GPU that is free. The model,
            and what `contexts` says, are then on each of them.
        flavor: For engines: which TensorRT runs it (``"tensorrt"``, ``"tensorrt_rtx"``, ``"tensorrt_lean"``,
            ``"tensorrt_dispatch"``). By default the one that the sidecar names, or the first that is installed.
        contexts: For the same: how many calls may compute side by side. For engines 4 by default; each takes memory for
            its computation from when it is first needed, and before TensorRT 8.6 there is one. With
            ``providers=["cuda"]`` 1 by default, since each takes memory for the weights, too. As many calls again copy
            their inputs and results while those compute.
        keep_bytes: For the same: how much page-locked memory results may lie in, which costs a call nothing. Results
            that are kept beyond that are copied to ordinary memory. By default an eighth of the machine's memory, and
            4 GiB at most.
        plugins: For engines with plugins: the libraries that have them, as ``onepass.build(plugins=…)`` was told. A
            library is code; none is opened that is not named here.
        weights: For engines built with ``refit=True`` or ``strip=True``: the ONNX file whose weights to take.
        weight_streaming_bytes: For engines built with weight streaming: how much of their weights stays on the GPU.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is damaged, or of a format that does not run here; the message says what it is.
        UnsupportedModelError: An input is no dense tensor (a sequence, an optional …), or no output is one; or the
            model has operators that ONNX Runtime lacks.
        EngineError: The engine was built by another version of TensorRT (`EngineVersionError`), for another GPU
            (`EngineDeviceError`), or is not the one its sidecar describes (`EngineMismatchError`).
        DeviceError: A provider is not available; or, for an engine, there is no GPU, no driver, or the installed
            TensorRT does not support that GPU.
        MissingExtraError: For an engine: no TensorRT, or no CUDA binding (extra ``cuda``), is installed.
        InputError: An argument is none of what is described above, or not for this kind of model.
    """
    options = {
        "backend": backend, "providers": providers, "threads": threads, "optimize": optimize,
        "session_options": session_options, "tf32": tf32,
        "device": device, "flavor": flavor, "contexts": contexts, "keep_bytes": keep_bytes,
        "weights": weights, "weight_streaming_bytes": weight_streaming_bytes,
    }  # fmt: skip
    if plugins is not None:
        options["plugins"] = path_tuple(plugins, what="plugins")
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, ModelSpec):
        beside = [name for name in given if name != "session_options"]  # which no other process could be sent
        if beside:
            raise InputError(
                f"{beside[0]}= is given beside a ModelSpec, which says how to open the model; put it into the spec: "
                f"dataclasses.replace(spec, {beside[0]}=...)"
            )
        given |= model.options()
        model = model.path
    handle = ModelHandle(model)
    session = Session(_backend_of(handle, given), name=handle.name)
    warn_of_left_out(session.signature, handle.name)
    return session


_ONNX_OPTIONS = ("providers", "threads", "optimize", "session_options", "tf32")
_CUDA_OPTIONS = ("device", "contexts", "keep_bytes")
_ENGINE_OPTIONS = ("device", "flavor", "contexts", "keep_bytes", "plugins", "weights", "weight_streaming_bytes")


def _backend_of(handle: ModelHandle, given: dict[str, Any]) -> BackendBase:
    """Open a model on its backend, which is imported only here: each brings libraries that the other does not need."""
    wanted = given.pop("backend", None)
    if handle.format is Format.ENGINE:
        _check_options(given, _ENGINE_OPTIONS, f"an engine, and {handle.name} is one")
        _check_backend(wanted, "tensorrt", handle)
        from onepass.runtime.tensorrt.backend import TensorRTBackend  # noqa: PLC0415

        return TensorRTBackend(handle, **given)
    _check_options(given, (*_ONNX_OPTIONS, *_CUDA_OPTIONS), f"an ONNX model, and {handle.name} is one")
    _check_backend(wanted, "onnxruntime", handle)
    from onepass.runtime.onnxruntime.sessions import CUDA, Sessions  # noqa: PLC0415

    sessions = Sessions(handle, **{name: value for name, value in given.items() if name in _ONNX_OPTIONS})
    on_gpu = {name: value for name, value in given.items() if name in _CUDA_OPTIONS}
    if next(iter(sessions.providers)) == CUDA:
        from onepass.runtime.onnxruntime.cuda_backend import open_on_cuda  # noqa: PLC0415

        return open_on_cuda(sessions, **on_gpu)
    where = 'an ONNX model without providers=["cuda"]'
    _check_options(on_gpu, (), f"{where}, and {handle.name} is opened as one")
    from onepass.runtime.onnxruntime.backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(sessions)


def _check_options(given: dict[str, Any], known: Sequence[str], kind: str) -> None:
    wrong = [name for name in given if name not in known]
    if wrong:
        raise InputError(f"{wrong[0]}= is not for {kind}; leave it out")


def _check_backend(wanted: str | None, here: str, handle: ModelHandle) -> None:
    if wanted not in (None, here):
        hint = "; onepass.build makes engines of ONNX models" if wanted == "tensorrt" else ""
        raise InputError(
            f"backend={wanted!r} does not run {handle.name}, which is {handle.format.value} and runs on {here}{hint}"
        )
