"""A session of ONNX Runtime on a GPU, in a stream of ours, with its inputs and outputs in memory of ours."""

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
    """A session that computes in a stream given to it; one thread at a time may use it.

    Attributes:
        raw: ONNX Runtime's session.
        device: The GPU.
        stream: The stream.
        inputs: The model's inputs, by name.
        outputs: Its outputs, by name.
        found: By the shapes of inputs: the shapes of the outputs, or why such runs cannot be recorded.
    """

    def __init__(self, raw: Any, signature: Signature, device: Device, stream: Stream) -> None:
        """Describe a session that was opened with this stream."""
        self.raw = raw
        self.device = device
        self.stream = stream
        self.inputs = {spec.name: Edge(spec, spec.name, spec.dtype) for spec in signature.inputs}
        self.outputs = {spec.name: Edge(spec, spec.name, spec.dtype) for spec in signature.outputs}
        self.found: dict[tuple[Shape, ...], dict[str, Shape] | str] = {}
        self._queueing = import_onnxruntime().RunOptions()
        self._queueing.add_run_config_entry("disable_synchronize_execution_providers", "1")
        # ONNX Runtime crashes if the stream is gone before the session is, which a traceback may hold for long. Its own
        # object is asked: of Python's the garbage collector calls finalizers before it frees anything.
        weakref.finalize(getattr(raw, "_sess", raw), stream.close).atexit = False

    def bind(self, in_places: Sequence[Place], inputs: int, out_places: Sequence[Place], outputs: int) -> Any:
        """Return a binding to two blocks of memory, given by their addresses."""
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
        """Return a binding to inputs wherever they are; ONNX Runtime puts the outputs of these names on the GPU."""
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
        """Queue the computation.

        Raises:
            BackendError: ONNX Runtime fails.
        """
        try:
            self.raw.run_with_iobinding(binding, self._queueing)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if not is_of_runtime(error):
                raise
            forget_last_error()
            raise BackendError(f"ONNX Runtime failed: {error}") from error

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], runs: Runs) -> list[Any]:
        """Compute, and return ONNX Runtime's values of the outputs, which lie on the GPU.

        Raises:
            BackendError: ONNX Runtime fails, or the run is ended.
        """
        binding = self._bind_feeds(feeds, names)
        try:
            self.raw.run_with_iobinding(binding, runs.options)
        except Exception as error:  # as above
            if not is_of_runtime(error):
                raise
            raise runs.failure(runs.options, f"ONNX Runtime failed on {shapes_text(feeds)}: {error}") from error
        return list(binding.get_outputs())
