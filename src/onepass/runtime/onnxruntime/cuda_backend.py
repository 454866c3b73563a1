"""ONNX Runtime on NVIDIA GPUs: frozen passes, as for engines, computed by the CUDA provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import InputError, MissingExtraError
from onepass._optional import import_onnxruntime
from onepass.outputs import Array
from onepass.runtime.backend import BackendBase
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import load_driver
from onepass.runtime.gpu.backend import GpuBackend, device_numbers
from onepass.runtime.gpu.budget import KeptMemory
from onepass.runtime.onnxruntime._ending import Runs
from onepass.runtime.onnxruntime._loose import LoosePass
from onepass.runtime.onnxruntime._passes import SessionPasses
from onepass.runtime.onnxruntime.backend import OnnxRuntimeBackend
from onepass.runtime.onnxruntime.sessions import CUDA, Sessions
from onepass.runtime.spec import Devices

_OURS = ("user_compute_stream", "has_user_compute_stream", "enable_cuda_graph", "gpu_external_alloc")
"""Provider options that a frozen pass sets itself; if the user sets one, passes are not frozen."""


class OnnxRuntimeCudaBackend(GpuBackend):
    """Runs an ONNX model on one or several GPUs with ONNX Runtime's CUDA provider."""

    def __init__(
        self, sessions: Sessions, *, device: Devices = 0, contexts: int | None = None, keep_bytes: int | None = None
    ) -> None:
        """Open the model; see `onepass.load` for the arguments and errors."""
        kept = KeptMemory.of(keep_bytes)
        self._runs = Runs(import_onnxruntime().RunOptions)
        self._passes = [
            SessionPasses(sessions, Device(number), kept, self._runs, contexts=contexts or 1)
            for number in device_numbers(device)
        ]
        super().__init__(self._passes, kept)

    def run_within(self, feeds: Mapping[str, Any], names: Sequence[str], seconds: float) -> Sequence[Array]:
        """Compute with a timeout; see `BackendBase.run_within`. Only runs that are not frozen are stopped.

        A frozen run has no loops and ends by itself; if it took too long, the call fails afterwards.
        """
        if any(isinstance(feed, DeviceArray) for feed in feeds.values()):
            raise InputError("timeout= requires inputs on the host; omit it, or pass NumPy arrays")
        with self._runs.limited(seconds) as options, self._pass_for(feeds) as passing:
            if isinstance(passing, LoosePass):
                return passing.run(feeds, names, options=options)
            results = passing.run(feeds, names)
            if options.terminate:
                raise self._runs.failure(options, "the run was stopped")
            return results

    def stop(self, reason: str) -> None:
        """Stop running calls that are not frozen, each after its current node; further calls fail."""
        self._runs.stop(reason)

    def report(self) -> Mapping[str, Any]:
        """Return ONNX Runtime's version and options, the GPUs, and how each input shape runs."""
        runtime = {"backend": "onnxruntime", "version": import_onnxruntime().__version__}
        return {**runtime, **super().report(), **self._passes[0].options}


def open_on_cuda(
    sessions: Sessions, *, device: Devices | None = None, contexts: int | None = None, keep_bytes: int | None = None
) -> BackendBase:
    """Open a model whose first provider is CUDA: with frozen passes if possible, otherwise as an ordinary session.

    Raises:
        InputError: An option is given twice, or requires frozen passes.
    """
    given = sessions.providers[CUDA]
    if device is None:
        number = str(given.get("device_id", 0))
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"the provider option device_id must be the number of a GPU (≥ 0), got {number!r}")
        device = int(number)
    elif "device_id" in given:
        raise InputError("device= and the provider option device_id cannot be combined; use one of them")
    because = _obstacle(given)
    if because is None:
        return OnnxRuntimeCudaBackend(sessions, device=device, contexts=contexts, keep_bytes=keep_bytes)
    if not isinstance(device, int):
        raise InputError(f"device= with several GPUs requires frozen passes, which are not possible here: {because}")
    given["device_id"] = str(device)
    return OnnxRuntimeBackend(sessions, eager_because=because)


def _obstacle(given: Mapping[str, Any]) -> str | None:
    """Return why passes cannot be frozen for any model, or None."""
    theirs = [name for name in _OURS if name in given]
    if theirs:
        return f"the provider option {theirs[0]} is set"
    runtime = import_onnxruntime()
    if not hasattr(runtime.InferenceSession, "get_input_memory_infos"):
        return f"onnxruntime {runtime.__version__} does not report where it expects inputs; 1.23 and later do"
    try:
        load_driver()
    except MissingExtraError as error:
        return str(error)
    return None
