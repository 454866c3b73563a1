"""Open a model on the backend for its format."""

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
    """Open a model and return a session, which returns every output by name.

    The file's content, not its extension, decides the format. TensorRT engines run on an NVIDIA GPU, ONNX models on
    ONNX Runtime. An engine is code: load only engines that you built or trust.

    Strings are NumPy arrays of ``str`` objects. Outputs that are sequences, maps or optionals are left out, with a
    `LeftOutWarning`, if other outputs remain.

    Args:
        model: Path of a TensorRT engine or an ONNX (or ONNX Runtime ``.ort``) file, the bytes of one, an `OnnxGraph`,
            the `Plan` that `onepass.build` returns, or a `ModelSpec`, which also holds the other arguments. A sidecar
            ``<engine>.json`` beside an engine has the model's own names, order and dtypes; without one (as from
            trtexec), the engine's are used.
        backend: The backend that must run the model, ``"onnxruntime"`` or ``"tensorrt"``. By default, the content
            decides; onepass does not convert a model for another backend.
        providers: ONNX Runtime execution providers in order of preference, by ONNX Runtime's name
            (``"CUDAExecutionProvider"``) or by short name (``"cuda"``), each alone or as ``(name, options)``. All must
            be available: none is skipped silently. Default: ``["cpu"]``.
        threads: CPU threads per call. They spin while they wait for work, as is ONNX Runtime's default. By default, one
            thread for models under 32 MB, otherwise all cores that the process may use, with threads that sleep while
            they wait.
        optimize: How much ONNX Runtime optimises the graph: ``"all"``, ``"basic"`` (standard operators only) or
            ``"none"``. Default: ``"all"``; if the optimiser breaks a valid model, it is opened with a lower level,
            which `report` returns.
        session_options: Your own ``onnxruntime.SessionOptions``; cannot be combined with `threads` or `optimize`. It is
            used again when a call requests only some outputs, so do not change it while the session is open.
        tf32: With ``providers=["cuda"]``: whether float32 products may use TF32, which is faster and accurate to about
            three digits. Default: no, as on the CPU.
        device: For engines and ``providers=["cuda"]``: number of the GPU, starting from 0 (the default), among those
            visible to the process; or a list of numbers, or ``"all"``: then each call runs on a free GPU, and each GPU
            has the model and its own `contexts`.
        flavor: For engines: the TensorRT that runs the engine (``"tensorrt"``, ``"tensorrt_rtx"``,
            ``"tensorrt_lean"``, ``"tensorrt_dispatch"``). Default: the one named in the sidecar, otherwise the first
            one installed.
        contexts: For engines and ``providers=["cuda"]``: number of calls that may compute concurrently. For engines the
            default is 4; each needs scratch memory from its first use on, and before TensorRT 8.6 there is only one.
            With ``providers=["cuda"]`` the default is 1, because each context needs memory for the weights, too. As
            many further calls copy their inputs and results while these compute.
        keep_bytes: For engines and ``providers=["cuda"]``: limit of page-locked memory for results, which need no
            further copy. When it is used up, results are copied to ordinary memory. Default: one eighth of the
            machine's memory, at most 4 GiB.
        plugins: For engines with plugins: the libraries that contain them, as for ``onepass.build(plugins=…)``.
            Libraries are code; onepass opens only those named here.
        weights: For engines built with ``refit=True`` or ``strip=True``: the ONNX file with the weights to use.
        weight_streaming_bytes: For engines built with weight streaming: how much of their weights stays on the GPU.

    Raises:
        ModelNotFoundError: Nothing exists at the path.
        ModelFormatError: The file is damaged, or in a format that cannot run here; the message names the format.
        UnsupportedModelError: An input is not a dense tensor (but a sequence, an optional …), or no output is; or ONNX
            Runtime does not support an operator of the model.
        EngineError: The engine was built by another version of TensorRT (`EngineVersionError`), for another GPU
            (`EngineDeviceError`), or does not match its sidecar (`EngineMismatchError`).
        DeviceError: A provider is not available; or, for an engine, there is no GPU, no driver, or the installed
            TensorRT does not support the GPU.
        MissingExtraError: For an engine: TensorRT or the CUDA binding (extra ``cuda``) is not installed.
        InputError: An argument is invalid, or not supported for this kind of model.
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
        beside = [
            name for name in given if name != "session_options"
        ]  # it cannot be sent to another process, so a spec does not have it
        if beside:
            raise InputError(
                f"{beside[0]}= cannot be combined with a ModelSpec, which holds the options; put it into the spec: "
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
    """Open a model on its backend, imported here because each backend needs libraries that others do not."""
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
        raise InputError(f"{wrong[0]}= is not supported for {kind}; omit it")


def _check_backend(wanted: str | None, here: str, handle: ModelHandle) -> None:
    if wanted not in (None, here):
        hint = "; onepass.build builds an engine from an ONNX model" if wanted == "tensorrt" else ""
        raise InputError(
            f"backend={wanted!r} cannot run {handle.name}, which is {handle.format.value} and runs on {here}{hint}"
        )
