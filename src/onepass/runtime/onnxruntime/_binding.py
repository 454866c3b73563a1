"""An ONNX Runtime session on a GPU that uses onepass's own stream, and its own memory for inputs and outputs."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onepass._cuda_libraries import forget_last_error
from onepass._errors import BackendError
from onepass._optional import import_onnxruntime
from onepass.engine.plan import Edge
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu.layout import Place, Shape
from onepass.runtime.gpu.passing import Feed
from onepass.runtime.onnxruntime._edges import element_type, shapes_text, value_from_array
from onepass.runtime.onnxruntime._ending import Runs, is_of_runtime
from onepass.tensors import Signature

_DEVICE = "cuda"


class CudaSession:
    """A session that computes in a given stream. Only one thread may use it at a time.

    Attributes:
        raw: The ONNX Runtime session.
        device: The GPU.
        stream: The stream.
        inputs: The model's inputs, by name.
        outputs: The model's outputs, by name.
        found: For each set of input shapes tried: the output shapes, or why these runs cannot be recorded.
    """

    def __init__(self, raw: Any, signature: Signature, device: Device, stream: Stream) -> None:
        """Wrap a session that was opened with this stream."""
        self.raw = raw
        self.device = device
        self.stream = stream
        self.inputs = {spec.name: Edge(spec, spec.name, spec.dtype) for spec in signature.inputs}
        self.outputs = {spec.name: Edge(spec, spec.name, spec.dtype) for spec in signature.outputs}
        self.found: dict[tuple[Shape, ...], dict[str, Shape] | str] = {}
        self._queueing = import_onnxruntime().RunOptions()
        self._queueing.add_run_config_entry("disable_synchronize_execution_providers", "1")
        # ONNX Runtime crashes if the stream is destroyed before the session, and a traceback may keep the session alive
        # for a long time. So the stream is closed when ONNX Runtime's own object dies. Its Python wrapper would be too
        # early: the garbage collector calls the finalizers of Python objects before it frees anything.
        weakref.finalize(getattr(raw, "_sess", raw), stream.close).atexit = False

    def bind(self, in_places: Sequence[Place], inputs: int, out_places: Sequence[Place], outputs: int) -> Any:
        """Return a binding to two blocks of GPU memory, at the addresses `inputs` and `outputs`."""
        binding = self.raw.io_binding()
        number = self.device.index
        for place in in_places:
            kind = element_type(place.dtype)
            binding.bind_input(place.name, _DEVICE, number, kind, list(place.shape), inputs + place.offset)
        for place in out_places:
            kind = element_type(place.dtype)
            binding.bind_output(place.name, _DEVICE, number, kind, list(place.shape), outputs + place.offset)
        return binding

    def _bind_feeds(self, feeds: Mapping[str, Feed], names: Iterable[str]) -> Any:
        """Return a binding to inputs on the host or a GPU; ONNX Runtime allocates the outputs `names` on the GPU."""
        binding = self.raw.io_binding()
        for name, feed in feeds.items():
            if isinstance(feed, DeviceArray):
                kind = element_type(feed.dtype)
                binding.bind_input(name, _DEVICE, feed.device, kind, list(feed.shape), feed.address)
            else:
                binding.bind_ortvalue_input(name, value_from_array(feed))
        for name in names:
            binding.bind_output(name, _DEVICE, self.device.index)
        return binding

    def queue(self, binding: Any) -> None:
        """Queue the computation in the stream.

        Raises:
            BackendError: ONNX Runtime failed.
        """
        try:
            self.raw.run_with_iobinding(binding, self._queueing)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if not is_of_runtime(error):
                raise
            forget_last_error()
            raise BackendError(f"ONNX Runtime failed: {error}") from error

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], runs: Runs) -> list[Any]:
        """Compute the outputs `names`, and return them as OrtValues on the GPU.

        Raises:
            BackendError: ONNX Runtime failed, or the run was stopped.
        """
        binding = self._bind_feeds(feeds, names)
        try:
            self.raw.run_with_iobinding(binding, runs.options)
        except Exception as error:  # as above
            if not is_of_runtime(error):
                raise
            raise runs.failure(runs.options, f"ONNX Runtime failed on {shapes_text(feeds)}: {error}") from error
        return list(binding.get_outputs())
