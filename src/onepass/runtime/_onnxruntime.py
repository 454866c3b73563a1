"""ONNX Runtime, the backend that needs no GPU. The only module that runs models with it."""

from __future__ import annotations

import ctypes
import glob
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

from onepass._errors import BackendError, DeviceError, ModelFormatError, UnsupportedModelError
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, dtype_from_onnx, onnx_from_dtype

Provider: TypeAlias = str | tuple[str, dict[str, Any]]
Model: TypeAlias = str | os.PathLike[str] | bytes | OnnxGraph

# ONNX Runtime's Python binding has no NumPy form of these; their bits travel as unsigned integers.
_BITS: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}
_REGISTERED = 2  # numpy.dtype.isbuiltin of a type that another package (ml_dtypes) registered
# Below this size of the model file one thread is fastest: a second spends longer waiting than computing.
_ONE_THREAD_BELOW_BYTES = 32 << 20
_SERIALISED_LIMIT_BYTES = (2 << 30) - 1
_QUIET = 4  # log nothing below "fatal": what goes wrong is in the exception


class OnnxRuntimeBackend:
    """Runs an ONNX model with ONNX Runtime.

    Outputs that a call does not ask for are not computed either: the first call for a subset prepares a session of
    the part of the graph that it needs, which later calls use again.
    """

    def __init__(
        self,
        model: Model,
        *,
        providers: Sequence[Provider],
        threads: int | None,
        session_options: onnxruntime.SessionOptions | None,
    ) -> None:
        """Prepare the model; see `onepass.load` for the arguments and errors."""
        if session_options is not None and threads is not None:
            raise ValueError("give threads= or session_options=, not both: set intra_op_num_threads in the options")
        self._model = model
        self._providers = _checked_providers(providers)
        self._threads = _default_threads(model) if threads is None else threads
        self._own_options = session_options
        self._session = self._prepare(model)
        self.signature = _signature(self._session, model)
        self._names = self.signature.output_names
        self._exotic = _exotic(self.signature)
        # Older versions of ONNX Runtime return the very memory of an input for an output that is that input.
        self._passed_through = frozenset(self._names) & frozenset(self.signature.input_names)
        self._subsets: dict[tuple[str, ...], onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Compute the outputs called `names`; see `Backend.run`."""
        session = self._session
        if len(names) != len(self._names):
            session = self._session_of(tuple(names))
            feeds = {node.name: feeds[node.name] for node in session.get_inputs()}
        try:
            if self._exotic:
                return self._run_exotic(session, feeds, names)
            results: list[Array] = session.run(names, feeds)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise BackendError(f"ONNX Runtime failed on {_shapes(feeds)}: {error}") from error
        if self._passed_through:
            return [a.copy() if name in self._passed_through else a for name, a in zip(names, results, strict=True)]
        return results

    def report(self) -> Mapping[str, Any]:
        """Name ONNX Runtime, its version, the providers in use and the number of threads."""
        providers = self._session.get_providers()
        return {
            "backend": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": "cpu" if providers == ["CPUExecutionProvider"] else providers[0],
            "providers": providers,
            "threads": self._session.get_session_options().intra_op_num_threads,
        }

    def close(self) -> None:
        """Do nothing: ONNX Runtime frees its memory when the last call under way lets go of the session."""

    def _prepare(self, model: Model) -> onnxruntime.InferenceSession:
        options = self._own_options or _options(self._threads)
        if not isinstance(model, OnnxGraph):
            return self._open(model if isinstance(model, bytes) else os.fspath(model), options)
        if model.proto.ByteSize() > _SERIALISED_LIMIT_BYTES:
            with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
                path = Path(scratch, "model.onnx")
                model.save(path)
                return self._open(str(path), options)
        if model.folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.folder))
        return self._open(model.to_bytes(), options)

    def _open(self, model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        what = "the model" if isinstance(model, bytes) else model
        try:
            session = onnxruntime.InferenceSession(model, options, providers=self._providers)
        except Exception as error:  # as above
            kind = type(error).__name__
            if kind in ("InvalidProtobuf", "NoSuchFile", "ModelLoadCanceled"):
                raise ModelFormatError(f"ONNX Runtime cannot read {what}: {error}") from error
            if kind in ("InvalidGraph", "NotImplemented", "Fail", "NoModel"):
                raise UnsupportedModelError(f"ONNX Runtime cannot prepare {what}: {error}") from error
            raise BackendError(f"ONNX Runtime cannot prepare {what}: {error}") from error
        wanted = [entry if isinstance(entry, str) else entry[0] for entry in self._providers]
        missing = [name for name in wanted if name not in session.get_providers()]
        if missing:
            raise DeviceError(
                f"ONNX Runtime could not start {', '.join(missing)} (a driver or library of it is missing) and would "
                f"have used {', '.join(session.get_providers())} instead"
            )
        return session

    def _session_of(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        with self._lock:
            if names not in self._subsets:
                self._subsets[names] = self._part(names)
            return self._subsets[names]

    def _part(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """Prepare the part of the graph that `names` need, unless that is all of it."""
        if _is_ort_format(self._model):  # already optimised for good; it cannot be taken apart
            return self._session
        graph = _graph(self._model)
        part = graph.select(names)
        if len(part.proto.graph.node) == len(graph.proto.graph.node):
            return self._session
        return self._prepare(part)

    def _run_exotic(
        self, session: onnxruntime.InferenceSession, feeds: Mapping[str, Array], names: Sequence[str]
    ) -> list[Array]:
        """Run with values that carry ONNX's own element types, for those that NumPy has no name for."""
        values = {name: _value_from_array(array) for name, array in feeds.items()}
        return [_array_from_value(value) for value in session.run_with_ort_values(list(names), values)]


def _checked_providers(providers: Sequence[Provider]) -> list[Provider]:
    if isinstance(providers, str):
        raise TypeError(f"providers= takes a list, got {providers!r}; write providers=[{providers!r}]")
    available = onnxruntime.get_available_providers()
    by_short_name = {name.removesuffix("ExecutionProvider").lower(): name for name in available}
    checked: list[Provider] = []
    for entry in providers:
        name, options = (entry, None) if isinstance(entry, str) else entry
        full = by_short_name.get(name.lower(), name)
        if full not in available:
            raise DeviceError(
                f"the ONNX Runtime provider {name!r} is not available; this installation of onnxruntime "
                f"{onnxruntime.__version__} has {', '.join(sorted(by_short_name))}. Other providers come with other "
                "packages, such as onnxruntime-gpu"
            )
        checked.append(full if options is None else (full, options))
    return checked


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    # A thread that spins while it waits takes the core from whoever else would use it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _default_threads(model: Model) -> int:
    if isinstance(model, OnnxGraph):
        size = 4 * model.parameter_count
    elif isinstance(model, bytes):
        size = len(model)
    else:
        path = Path(model)
        # External weights lie in a file beside the model, mostly called model.onnx.data or model.onnx_data.
        size = sum(file.stat().st_size for file in path.parent.glob(f"{glob.escape(path.name)}*") if file.is_file())
    return 1 if size < _ONE_THREAD_BELOW_BYTES else _usable_cores()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _signature(session: onnxruntime.InferenceSession, model: Model) -> Signature:
    if isinstance(model, OnnxGraph):
        return model.signature
    nodes = (*session.get_inputs(), *session.get_outputs())
    if any(not node.shape for node in nodes) and not _is_ort_format(model):
        # ONNX Runtime says [] of a scalar and of an unknown rank alike; the model itself knows.
        return _graph(model).signature
    return Signature(
        tuple(_spec(node) for node in session.get_inputs()), tuple(_spec(node) for node in session.get_outputs())
    )


def _graph(model: Model) -> OnnxGraph:
    if isinstance(model, OnnxGraph):
        return model
    return OnnxGraph.from_bytes(model) if isinstance(model, bytes) else OnnxGraph.load(model)


def _is_ort_format(model: Model) -> bool:
    if isinstance(model, OnnxGraph):
        return False
    return model[4:8] == b"ORTM" if isinstance(model, bytes) else format_of(model) is Format.ORT


def _spec(node: onnxruntime.NodeArg) -> TensorSpec:
    kind = str(node.type)
    if not kind.startswith("tensor("):
        raise UnsupportedModelError(
            f"tensor {node.name!r} is a {kind}; onepass moves dense tensors only. Take it out of the model: "
            "OnnxGraph.load(...).select([the other outputs])"
        )
    dtype = dtype_from_onnx(kind.removeprefix("tensor(").removesuffix(")"), tensor=node.name)
    return TensorSpec(node.name, dtype, tuple(node.shape))


def _exotic(signature: Signature) -> bool:
    """Whether a tensor at the edge has a type that ONNX Runtime's binding does not turn into NumPy's."""
    return any(spec.dtype.isbuiltin == _REGISTERED for spec in (*signature.inputs, *signature.outputs))


def _value_from_array(array: Array) -> onnxruntime.OrtValue:
    if array.dtype.isbuiltin != _REGISTERED:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    bits = array.view(_BITS[array.dtype.itemsize])
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, onnx_from_dtype(array.dtype))


def _array_from_value(value: onnxruntime.OrtValue) -> Array:
    dtype = dtype_from_onnx(value.element_type(), tensor="output")
    shape = tuple(value.shape())
    array: Array = np.empty(shape, dtype)
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, value.data_ptr(), array.nbytes)
    return array


def _shapes(feeds: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feeds.items()) or "no inputs"
