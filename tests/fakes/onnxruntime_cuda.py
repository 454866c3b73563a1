"""A stand-in for ONNX Runtime's CUDA provider on a fake GPU: the CPU provider computes, when the GPU would.

What a session is asked to do is held to the rules of the real one, on whose words and refusals (version 1.31) this is
modelled: memory is bound by its address, work goes into the stream that the session was opened with, in order, and is
not done before somebody waits; while that stream is recorded nothing may be allocated, waited for or copied from the
host. Broken rules are noted in `FakeCuda.faults`.

Example::

    cuda = FakeCuda(lazy=True)
    with cuda_provider(cuda) as provider, onepass.load("model.onnx", providers=["cuda"]) as session:
        ...
    assert provider.calls["run_with_iobinding"] == 3 and not provider.live
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from onepass import _cuda_libraries
from tests.fakes import _cuda_kernels as kernels
from tests.fakes._cuda_binding import Binding, Place, Value
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed

CUDA = "CUDAExecutionProvider"
_OPTIONS = frozenset({
    "arena_extend_strategy", "cudnn_conv1d_pad_to_nc1d", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace",
    "device_id", "do_copy_in_default_stream", "enable_cuda_graph", "fuse_conv_bias", "gpu_mem_limit",
    "has_user_compute_stream", "prefer_nhwc", "sdpa_kernel", "use_ep_level_unified_stream", "use_tf32",
    "user_compute_stream",
})  # fmt: skip
_Real = onnxruntime.InferenceSession


class Provider:
    """What all sessions of a fake provider share, and what tests look at.

    Attributes:
        calls: How often each of its functions was called, by name.
        opened: The options of the CUDA provider of every session that was opened.
        live: The sessions that there are.
        missing: The provider does not start: ONNX Runtime leaves it out and says nothing.
        fail_next: What the next run raises, once.
        last_error: Of a thread: what CUDA's runtime will blame the next kernel for ``now``.
    """

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.calls: Counter[str] = Counter()
        self.opened: list[dict[str, str]] = []
        self.missing = False
        self.fail_next: Exception | None = None
        self.last_error = threading.local()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def cudaGetLastError(self) -> int:  # noqa: N802 - CUDA's name
        """Forget the last error, as CUDA's runtime does."""
        self.last_error.now = None
        return 0

    @property
    def live(self) -> int:
        """How many sessions there are."""
        gc.collect()
        return len(self._sessions)

    def open(self, model: Any, options: Any = None, *, providers: Sequence[Any] = (), **more: Any) -> Any:
        """Open a session as `onnxruntime.InferenceSession` does."""
        given: dict[str, Any] = dict(entry if isinstance(entry, tuple) else (entry, {}) for entry in providers)
        if CUDA not in given or self.missing:
            return _Real(model, options, providers=[each for each in given if each != CUDA] or None, **more)
        self.opened.append({name: str(value) for name, value in given[CUDA].items()})
        session = Session(self, model, options, self.opened[-1])
        self._sessions.add(session)
        return session


class Session:
    """One model on the fake provider."""

    def __init__(self, provider: Provider, model: Any, options: Any, given: Mapping[str, str]) -> None:
        for name in given:
            if name not in _OPTIONS:
                raise RuntimeError(f"Unknown provider option: {name!r}.")
        self.provider, self.cuda = provider, provider.cuda
        self.device = int(given.get("device_id", 0))
        self._real = _Real(model, options, providers=["CPUExecutionProvider"])
        self.kernels = kernels.looked_at(model)
        self._enter()
        number = given.get("user_compute_stream")
        self.stream = self.cuda.stream(int(number)) if number else None
        self._runs: Counter[Any] = Counter()
        # What stands for ONNX Runtime's own object: the garbage collector does not know it.
        self._sess = np.array(0)
        if number:
            self.cuda.users.append((weakref.ref(self._sess), int(number)))

    def __getattr__(self, name: str) -> Any:
        if name in {"get_inputs", "get_outputs", "get_session_options", "get_modelmeta"}:
            return getattr(self._real, name)
        raise AttributeError(name)

    def get_providers(self) -> list[str]:
        """Name the providers."""
        return [CUDA, "CPUExecutionProvider"]

    def get_input_memory_infos(self) -> list[Any]:
        """Say where inputs are wanted."""
        return [Place("Cpu" if self.wants_on_host(node.name) else "Cuda") for node in self.get_inputs()]

    def wants_on_host(self, name: str) -> bool:
        """Whether an input is computed with on the host."""
        return name in self.kernels.host_inputs

    def run(self, names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> Any:
        """Compute from arrays on the host, at once."""
        self._begin("run", options)
        self._wait("run")
        values = self._real.run(names, feeds, options)
        # What is handed through is fetched from the GPU before it is there.
        return [np.zeros_like(value) if name in feeds else value for name, value in zip(names, values, strict=True)]

    def run_with_ort_values(self, names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> Any:
        """Compute from values on the host, at once."""
        self._begin("run_with_ort_values", options)
        self._wait("run_with_ort_values")
        if fetched := [name for name in names if name in feeds]:
            self.cuda.faults.append(f"run_with_ort_values: {fetched[0]} is fetched before it is there")
        return self._real.run_with_ort_values(names, feeds, options)

    def io_binding(self) -> Binding:
        """Return a binding without anything bound."""
        return Binding(self)

    def run_with_iobinding(self, binding: Binding, options: Any = None) -> None:
        """Queue the computation, and wait for it unless that was said to be left off."""
        waits = _entry(options, "disable_synchronize_execution_providers") != "1"
        with self.cuda.lock:
            self._begin("run_with_iobinding", options)
            stream = self._stream
            recorded = stream.capture is not None
            if recorded and (binding.unplaced or self.kernels.waits or waits):
                self._spoil("cudaStreamSynchronize")
            if recorded and self.kernels.joins_many:
                raise Fail("CUDA Concat supports at most 32 inputs during CUDA Graph capture")
            # In the first run of a shape its memory is planned, in the second allocated.
            self._runs[binding.shapes] += 1
            if recorded and self._runs[binding.shapes] <= 2:
                self._spoil("cudaMalloc")
            for op in self.kernels.extra_work() if recorded else ():
                self.cuda.enqueue(stream, op)
            waits = binding.unplaced or self.kernels.waits or waits
            self.cuda.enqueue(stream, binding.work(waited=waits))
            if waits:
                self._wait("run_with_iobinding")
                if binding.failed is not None:
                    raise Fail(str(binding.failed))
                binding.finish()

    def real_binding(self) -> Any:
        """Return a binding of the session that computes."""
        return self._real.io_binding()

    def compute(self, real: Any) -> None:
        """Compute what is bound."""
        self._real.run_with_iobinding(real)

    def allocate(self, array: np.ndarray[Any, Any]) -> Value:
        """Put an array into memory of the provider's own, on the GPU."""
        return Value(self.cuda, self.device, array)

    @property
    def _stream(self) -> Any:
        if self.stream is None:
            _, handle = self.cuda.cuStreamCreate(1)
            self.stream = self.cuda.stream(handle)
            weakref.finalize(self, self.cuda.remove, handle).atexit = False
        return self.stream

    def _enter(self) -> None:
        # As cudaSetDevice does, whatever was current before.
        if not self.cuda.initialised:
            self.cuda.cuInit(0)
        self.cuda.set_current(self.cuda.primary[self.device])

    def _begin(self, name: str, options: Any) -> None:
        self.provider.calls[name] += 1
        self._enter()
        if self.provider.fail_next is not None:
            error, self.provider.fail_next = self.provider.fail_next, None
            raise error
        blamed = getattr(self.provider.last_error, "now", None)
        if blamed is not None:
            self.provider.last_error.now = None
            raise Fail(f"[ONNXRuntimeError] : 1 : FAIL : Status Message: CUDA error {blamed}")

    def _wait(self, name: str) -> None:
        with self.cuda.lock:
            if self._stream.capture is not None:
                self._spoil("cudaStreamSynchronize")
            self.cuda.drain(self._stream)
            error = self.cuda.sticky(self.device)
        if error:
            raise Fail(f"[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: {error} ; {name}")

    def _spoil(self, name: str) -> None:
        self._stream.capture.broken = f"{name} was called meanwhile"
        self.provider.last_error.now = "cudaErrorStreamCaptureUnsupported"
        raise Fail(f"CUDA failure 900: operation not permitted when stream is capturing ; expr={name}")


@contextmanager
def cuda_provider(cuda: FakeCuda) -> Iterator[Provider]:
    """Let ONNX Runtime have a CUDA provider that computes on a fake GPU, and ``cuda.bindings.driver`` drive that."""
    provider = Provider(cuda)
    names = [CUDA, *onnxruntime.get_available_providers()]
    kind = type("InferenceSession", (), {
        "__new__": lambda _, *arguments, **options: provider.open(*arguments, **options),
        "get_input_memory_infos": Session.get_input_memory_infos,
    })  # fmt: skip
    with installed(cuda=cuda), pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cuda_libraries, "_cuda_runtime", lambda: provider)
        patch.setattr(onnxruntime, "InferenceSession", kind)
        patch.setattr(onnxruntime, "get_available_providers", lambda: names)
        yield provider


def _entry(options: Any, name: str) -> str | None:
    try:
        return str(options.get_run_config_entry(name)) if options is not None else None
    except RuntimeError:  # there is none of that name
        return None
