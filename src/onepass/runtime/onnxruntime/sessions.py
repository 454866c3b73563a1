"""ONNX Runtime sessions with the user's options: providers, threads, optimisation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onepass._cuda_libraries import INSTALL_CUDA_LIBRARIES, load_cuda_libraries, missing_library
from onepass._errors import BackendError, DeviceError, InputError, OnepassError, UnsupportedModelError
from onepass._optional import import_onnxruntime
from onepass._programs import usable_cores
from onepass.runtime._model import LARGE_BYTES, ModelHandle
from onepass.runtime.onnxruntime._ending import is_of_runtime
from onepass.runtime.onnxruntime._refusals import refusal
from onepass.runtime.spec import Optimize, Provider, checked_providers

if TYPE_CHECKING:
    import onnxruntime

    from onepass.graph import OnnxGraph
else:
    onnxruntime = import_onnxruntime()

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_QUIET = 4  # log nothing below "fatal": errors are raised as exceptions
_MAX_THREADS = 1024

# Optimisation levels, from most to least.
_LEVELS: Mapping[str, Any] = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_LEVEL_NAMES = {level: name for name, level in _LEVELS.items()}


class Sessions:
    """Opens one model, or parts of it, always with the same options.

    Attributes:
        handle: The model.
        providers: Names of the requested providers and the options of each, in order of preference.
        threads: CPU threads per run; 0 means ONNX Runtime's default.
    """

    def __init__(
        self,
        handle: ModelHandle,
        *,
        providers: Sequence[Provider] = ("cpu",),
        threads: int | None = None,
        optimize: Optimize | None = None,
        session_options: onnxruntime.SessionOptions | None = None,
        tf32: bool | None = None,
    ) -> None:
        """Check the options; see `onepass.load` for them and their errors."""
        self.handle = handle
        self.providers = _with_tf32(_available_providers(providers), tf32)
        self.threads = _checked_threads(threads, session_options, handle)
        self._own_options = session_options
        self._spinning = threads is not None
        self._levels = _checked_levels(optimize, session_options)

    def open(self, model: Path | bytes | OnnxGraph, **cuda: str) -> onnxruntime.InferenceSession:
        """Prepare a model with the highest optimisation level that works.

        The optimiser makes some valid models invalid, so these open only with a lower level.

        Args:
            model: The model, or a part of it.
            cuda: Additional options of the CUDA provider.
        """
        if self._own_options:
            return self._open_with(self._own_options, model, cuda)
        failures: list[OnepassError] = []
        for level in self._levels:
            options = _options(self.threads, spinning=self._spinning)
            options.graph_optimization_level = _LEVELS[level]
            try:
                return self._open_with(options, model, cuda)
            except DeviceError:
                raise
            except (UnsupportedModelError, BackendError) as error:
                failures.append(error)
        raise failures[0]

    def report(self, session: onnxruntime.InferenceSession) -> dict[str, Any]:
        """Return the providers and options of a session."""
        options = session.get_session_options()
        report: dict[str, Any] = {
            "providers": session.get_providers(),
            "threads": options.intra_op_num_threads,
            "optimize": _LEVEL_NAMES.get(options.graph_optimization_level, "all"),
        }
        if CUDA in self.providers:
            report["tf32"] = str(self.providers[CUDA]["use_tf32"]).lower() in {"1", "true"}
        return report

    def _open_with(
        self, options: onnxruntime.SessionOptions, model: Path | bytes | OnnxGraph, cuda: Mapping[str, str]
    ) -> onnxruntime.InferenceSession:
        if isinstance(model, Path):
            return self._open(str(model), options, cuda)
        if isinstance(model, bytes):
            return self._open(model, options, cuda)
        model.require_weights()
        if model.inline_bytes >= LARGE_BYTES:
            # A session keeps bytes in memory as long as it lives, but needs a file only while it reads it.
            with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
                path = Path(scratch, "model.onnx")
                model.save(path)
                return self._open(str(path), options, cuda)
        if model.folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.folder))
        return self._open(model.to_bytes(), options, cuda)

    def _open(
        self, model: str | bytes, options: onnxruntime.SessionOptions, cuda: Mapping[str, str]
    ) -> onnxruntime.InferenceSession:
        wanted = {name: {**given, **cuda} if name == CUDA else given for name, given in self.providers.items()}
        if CUDA in wanted:
            load_cuda_libraries()
        # If the first provider fails, ONNX Runtime would fall back to another, and print a message.
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[*wanted.items()], enable_fallback=0)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if not is_of_runtime(error):
                raise
            raise refusal(error, self.handle.name, version=onnxruntime.__version__) from error
        missing = [name for name in wanted if name not in session.get_providers()]
        if missing:
            library = missing_library() if CUDA in missing else None
            reason = "a driver or library is missing"
            if library is not None:
                reason = f"{library} is missing; install it with: {INSTALL_CUDA_LIBRARIES}"
            raise DeviceError(
                f"ONNX Runtime could not start {', '.join(missing)} ({reason}); "
                f"onepass does not fall back to {', '.join(session.get_providers())}"
            )
        return session


def short_name(provider: str) -> str:
    """Return a provider's short name: ``cuda``."""
    return provider.removesuffix("ExecutionProvider").lower()


def _available_providers(providers: Sequence[Provider]) -> dict[str, dict[str, Any]]:
    available = onnxruntime.get_available_providers()
    by_short_name = {short_name(name): name for name in available}
    checked: dict[str, dict[str, Any]] = {}
    for entry in checked_providers(providers):
        name, options = (entry, {}) if isinstance(entry, str) else entry
        full = by_short_name.get(name.lower(), name)
        if full not in available:
            raise DeviceError(
                f"the ONNX Runtime provider {name!r} is not available; the installed onnxruntime "
                f"{onnxruntime.__version__} has {', '.join(sorted(by_short_name))}. Each package has its own "
                "providers: for 'cuda', install onnxruntime-gpu in place of onnxruntime"
            )
        checked[full] = dict(options)
    return checked


def _with_tf32(providers: dict[str, dict[str, Any]], tf32: bool | None) -> dict[str, dict[str, Any]]:
    """Set the precision of the CUDA provider, whose own default is TF32."""
    if CUDA in providers:
        return {**providers, CUDA: {"use_tf32": str(int(bool(tf32))), **providers[CUDA]}}
    if tf32:
        raise InputError(
            f"tf32= requires the CUDA provider, but the providers are {', '.join(map(short_name, providers))}; omit "
            'it, or use providers=["cuda"]'
        )
    return providers


def _checked_threads(threads: object, options: onnxruntime.SessionOptions | None, handle: ModelHandle) -> int:
    if options is not None:
        if threads is not None:
            raise InputError(
                "threads= and session_options= cannot be combined; set intra_op_num_threads in the session options"
            )
        return int(options.intra_op_num_threads)
    if threads is None:
        return usable_cores() if handle.is_large() else 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= _MAX_THREADS:
        raise InputError(f"threads= must be a whole number from 1 to {_MAX_THREADS}, got {threads!r}")
    return threads


def _checked_levels(optimize: Optimize | None, options: onnxruntime.SessionOptions | None) -> tuple[str, ...]:
    """Return the optimisation levels to try: the given one, or all from most to least."""
    if optimize is None:
        return tuple(_LEVELS)
    if options is not None:
        raise InputError(
            "optimize= and session_options= cannot be combined; set graph_optimization_level in the session options"
        )
    if optimize not in _LEVELS:
        raise InputError(f"optimize= must be one of {', '.join(_LEVELS)}, got {optimize!r}")
    return (optimize,)


def _options(threads: int, *, spinning: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    # Spinning threads are faster, but occupy their cores while they wait: right for users who ask for threads, not for
    # others.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return options
