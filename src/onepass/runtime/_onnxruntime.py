"""ONNX Runtime, the backend that needs no GPU. The only module that runs models with it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepass._errors import (
    BackendError,
    DeviceError,
    InputError,
    OnepassError,
    UnsupportedModelError,
)
from onepass._optional import import_onnxruntime
from onepass.formats import Format
from onepass.outputs import Array
from onepass.runtime._ending import RunOptions, Runs, is_of_runtime
from onepass.runtime._model import LARGE_BYTES, ModelHandle
from onepass.runtime._onnxruntime_edges import is_exotic, run_exotic, signature_of
from onepass.runtime._refusals import refusal
from onepass.runtime.backend import BackendBase
from onepass.runtime.spec import Optimize, Provider, checked_providers
from onepass.tensors import dtype_name

if TYPE_CHECKING:
    import onnxruntime

    from onepass.graph import OnnxGraph
else:
    onnxruntime = import_onnxruntime()

_QUIET = 4  # log nothing below "fatal": what goes wrong is in the exception
_MAX_THREADS = 1024
_MAX_PARTS = 8
_MAX_CONCURRENCY = 4

# How much ONNX Runtime rewrites a graph, from most to least.
_LEVELS: Mapping[str, Any] = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_LEVEL_NAMES = {level: name for name, level in _LEVELS.items()}


class OnnxRuntimeBackend(BackendBase):
    """Runs an ONNX model with ONNX Runtime.

    Outputs that a call does not ask for are not computed either: the first call for a subset prepares a session of
    the part of the graph that it needs, which later calls use again. The parts used last are kept, eight at most.
    """

    def __init__(
        self,
        handle: ModelHandle,
        *,
        providers: Sequence[Provider] = ("cpu",),
        threads: int | None = None,
        optimize: Optimize | None = None,
        session_options: onnxruntime.SessionOptions | None = None,
    ) -> None:
        """Prepare the model; see `onepass.load` for the arguments and errors."""
        self._handle = handle
        self._providers = _available_providers(providers)
        self._own_options = session_options
        self._threads = _checked_threads(threads, session_options, handle)
        self._spinning = threads is not None
        self._levels = _checked_levels(optimize, session_options)
        self._session = self._prepare(handle.onnx())
        self.signature = signature_of(self._session, handle)
        self.concurrency = min(_MAX_CONCURRENCY, _usable_cores())
        self._names = self.signature.output_names
        self._exotic = is_exotic(self.signature)
        # Older versions of ONNX Runtime return the very memory of an input for an output that is that input.
        self._passed_through = frozenset(self._names) & frozenset(self.signature.input_names)
        self._parts: OrderedDict[tuple[str, ...], _Part] = OrderedDict()
        self._lock = threading.Lock()
        self._runs = Runs(onnxruntime.RunOptions)
        self.survives_fork = self._threads == 1 and self._session.get_providers() == ["CPUExecutionProvider"]

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Compute the outputs called `names`; see `Backend.run`."""
        return self._run(feeds, names, self._runs.options)

    def run_within(self, feeds: Mapping[str, Array], names: Sequence[str], seconds: float) -> Sequence[Array]:
        """Compute, but end the run if it is not done in time; see `BackendBase.run_within`."""
        with self._runs.limited(seconds) as options:
            return self._run(feeds, names, options)

    def stop(self, reason: str) -> None:
        """End the runs under way, each after the node that it is at; further ones fail."""
        self._runs.stop(reason)

    def _run(self, feeds: Mapping[str, Array], names: Sequence[str], options: RunOptions) -> Sequence[Array]:
        session = self._session
        if len(names) != len(self._names):
            session = self._part(tuple(names))
            feeds = {node.name: feeds[node.name] for node in session.get_inputs()}
        try:
            if self._exotic:
                return run_exotic(session, feeds, names, options, self.signature)
            results: list[Array] = session.run(names, feeds, options)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if not is_of_runtime(error):
                raise
            raise self._runs.failure(options, f"ONNX Runtime failed on {_shapes(feeds)}: {error}") from error
        if self._passed_through:
            return [a.copy() if name in self._passed_through else a for name, a in zip(names, results, strict=True)]
        return results

    def report(self) -> Mapping[str, Any]:
        """Name ONNX Runtime, its version, the providers in use and the number of threads."""
        providers = self._session.get_providers()
        options = self._session.get_session_options()
        return {
            "backend": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": _short_name(providers[0]),
            "providers": providers,
            "threads": options.intra_op_num_threads,
            "optimize": _LEVEL_NAMES.get(options.graph_optimization_level, "all"),
        }

    def close(self) -> None:
        """Let go of all sessions, which frees their memory."""
        self._parts.clear()
        del self._session

    def _prepare(self, model: Path | bytes | OnnxGraph) -> onnxruntime.InferenceSession:
        """Prepare a model with as much optimisation as it stands.

        The optimiser makes some valid models invalid, so that they open with less of it only.
        """
        if self._own_options:
            return self._prepare_with(self._own_options, model)
        failures: list[OnepassError] = []
        for level in self._levels:
            options = _options(self._threads, spinning=self._spinning)
            options.graph_optimization_level = _LEVELS[level]
            try:
                return self._prepare_with(options, model)
            except DeviceError:
                raise
            except (UnsupportedModelError, BackendError) as error:
                failures.append(error)
        raise failures[0]

    def _prepare_with(
        self, options: onnxruntime.SessionOptions, model: Path | bytes | OnnxGraph
    ) -> onnxruntime.InferenceSession:
        if isinstance(model, Path):
            return self._open(str(model), options)
        if isinstance(model, bytes):
            return self._open(model, options)
        model.require_weights()
        if model.inline_bytes >= LARGE_BYTES:
            # A session keeps the bytes it was made from as long as it lives, but a file only while it reads.
            with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
                path = Path(scratch, "model.onnx")
                model.save(path)
                return self._open(str(path), options)
        if model.folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.folder))
        return self._open(model.to_bytes(), options)

    def _open(self, model: str | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        # Where the CPU has failed it would be tried once more, and printed.
        retry = {"enable_fallback": 0} if self._providers == ["CPUExecutionProvider"] else {}
        try:
            session = onnxruntime.InferenceSession(model, options, providers=self._providers, **retry)
        except Exception as error:  # as above
            if not is_of_runtime(error):
                raise
            raise refusal(error, self._handle.name, version=onnxruntime.__version__) from error
        wanted = [entry if isinstance(entry, str) else entry[0] for entry in self._providers]
        missing = [name for name in wanted if name not in session.get_providers()]
        if missing:
            raise DeviceError(
                f"ONNX Runtime could not start {', '.join(missing)} (a driver or library of it is missing) and would "
                f"have used {', '.join(session.get_providers())} instead"
            )
        return session

    def _part(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """Return the session of the part of the graph that `names` need; the first to ask prepares it."""
        with self._lock:
            part = self._parts.setdefault(names, _Part())
            self._parts.move_to_end(names)
            if len(self._parts) > _MAX_PARTS:
                self._parts.popitem(last=False)
        with part.lock:
            if part.session is None:
                part.session = self._prepare_part(names)
            return part.session

    def _prepare_part(self, names: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """Prepare the part of the graph that `names` need, unless that is all of it."""
        if self._handle.format is Format.ORT:  # already optimised for good; it cannot be taken apart
            return self._session
        graph = self._handle.graph()
        part = graph.select(names)
        if len(part.proto.graph.node) == len(graph.proto.graph.node):
            return self._session
        return self._prepare(part)


class _Part:
    """The session of a part of the graph, once it is prepared."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: onnxruntime.InferenceSession | None = None


def _available_providers(providers: Sequence[Provider]) -> list[Provider]:
    available = onnxruntime.get_available_providers()
    by_short_name = {_short_name(name): name for name in available}
    checked: list[Provider] = []
    for entry in checked_providers(providers):
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


def _short_name(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").lower()


def _checked_threads(threads: object, options: onnxruntime.SessionOptions | None, handle: ModelHandle) -> int:
    if options is not None:
        if threads is not None:
            raise InputError("give threads= or session_options=, not both: set intra_op_num_threads in the options")
        return int(options.intra_op_num_threads)
    if threads is None:
        return _usable_cores() if handle.is_large() else 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS:
        raise InputError(f"threads= takes a whole number from 1 to {_MAX_THREADS}, got {threads!r}")
    return threads


def _checked_levels(optimize: Optimize | None, options: onnxruntime.SessionOptions | None) -> tuple[str, ...]:
    """Return the levels of optimisation to try: the one asked for, or all of them from most to least."""
    if optimize is None:
        return tuple(_LEVELS)
    if options is not None:
        raise InputError("give optimize= or session_options=, not both: set graph_optimization_level in the options")
    if optimize not in _LEVELS:
        raise InputError(f"optimize= is one of {', '.join(_LEVELS)}, got {optimize!r}")
    return (optimize,)


def _options(threads: int, *, spinning: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    # Threads that spin while they wait are quicker, and take their cores from whoever else would use them: right for
    # one who asks for threads, not for one who did not.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return options


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shapes(feeds: Mapping[str, Array]) -> str:
    return (
        ", ".join(f"{name} {dtype_name(array.dtype)}{list(array.shape)}" for name, array in feeds.items())
        or "no inputs"
    )
