"""ONNX Runtime on NVIDIA GPUs: frozen passes, as engines have them, with the CUDA provider to compute."""

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
"""Options of the provider that a frozen pass sets; who sets them otherwise gets the provider as it is."""


class OnnxRuntimeCudaBackend(GpuBackend):
    """Runs an ONNX model on one GPU or several, by ONNX Runtime's CUDA provider."""

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
        """Compute; a run that is not frozen is ended if it is not done in time, see `BackendBase.run_within`.

        One that is frozen has no loops, and ends by itself; it is told of if that was too late.
        """
        if any(isinstance(feed, DeviceArray) for feed in feeds.values()):
            raise InputError("timeout= is for inputs on the host; leave it out, or give NumPy arrays")
        with self._runs.limited(seconds) as options, self._pass_for(feeds) as passing:
            if isinstance(passing, LoosePass):
                return passing.run(feeds, names, options=options)
            results = passing.run(feeds, names)
            if options.terminate:
                raise self._runs.failure(options, "the run was ended")
            return results

    def stop(self, reason: str) -> None:
        """End the runs under way that are not frozen, each after the node that it is at; further ones fail."""
        self._runs.stop(reason)

    def report(self) -> Mapping[str, Any]:
        """Name ONNX Runtime, its version and options, the GPUs, and how each shape of inputs runs."""
        runtime = {"backend": "onnxruntime", "version": import_onnxruntime().__version__}
        return {**runtime, **super().report(), **self._passes[0].options}


def open_on_cuda(
    sessions: Sessions, *, device: Devices | None = None, contexts: int | None = None, keep_bytes: int | None = None
) -> BackendBase:
    """Open a model whose first provider is CUDA's: with frozen passes, or as the provider is if something is missing.

    Raises:
        InputError: An option is given twice, or needs what is missing.
    """
    given = sessions.providers[CUDA]
    if device is None:
        number = str(given.get("device_id", 0))
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"the provider's option device_id is the number of a GPU, from 0 up; got {number!r}")
        device = int(number)
    elif "device_id" in given:
        raise InputError("the GPU is given twice, by device= and by the provider's option device_id; give one of them")
    because = _obstacle(given)
    if because is None:
        return OnnxRuntimeCudaBackend(sessions, device=device, contexts=contexts, keep_bytes=keep_bytes)
    if not isinstance(device, int):
        raise InputError(
            f"device= names several GPUs, for which passes have to be frozen, and they cannot be: {because}"
        )
    given["device_id"] = str(device)
    return OnnxRuntimeBackend(sessions, eager_because=because)


def _obstacle(given: Mapping[str, Any]) -> str | None:
    """Say what stands against freezing passes of any model, if anything does."""
    theirs = [name for name in _OURS if name in given]
    if theirs:
        return f"the provider's option {theirs[0]} is set"
    runtime = import_onnxruntime()
    if not hasattr(runtime.InferenceSession, "get_input_memory_infos"):
        return f"onnxruntime {runtime.__version__} does not say where it wants inputs; 1.23 and later do"
    try:
        load_driver()
    except MissingExtraError as error:
        return str(error)
    return None
