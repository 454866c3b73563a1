"""One execution context of an engine, set up for one set of input shapes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from onepass._errors import BackendError, InputError, OnepassError
from onepass.engine.layers import Layer, layers_of_engine
from onepass.outputs import Array
from onepass.runtime.cuda.device import Block, Device
from onepass.runtime.gpu.layout import ALIGNMENT, Shape
from onepass.runtime.tensorrt._engine import Engine


class Context:
    """An execution context with a profile; shapes and addresses are set once for each set of input shapes.

    Attributes:
        profile: Index of its profile.
        turn: Number of times that the shapes changed; each change invalidates earlier recordings.
    """

    def __init__(self, engine: Engine, profile: int, *, stream: int, scratch: int) -> None:
        """Create a context; the GPU must be current.

        Args:
            engine: The engine.
            profile: Index of the profile.
            stream: The stream that the context runs on.
            scratch: Address of its scratch memory.

        Raises:
            BackendError: TensorRT cannot create a context, or cannot set its profile.
        """
        self.profile = profile
        self._engine = engine
        self._stream, self._scratch = stream, scratch
        self._raw: Any = None
        self._open()
        self._allocator: Any = None
        # Must be determined before the first pass: later, TensorRT 8.5 returns the shapes of the last pass.
        self._data_dependent: set[str] | None = None
        self.turn = 0
        self._set: tuple[Mapping[str, Shape], Mapping[str, Array]] | None = None
        self._found: dict[str, Shape | None] = {}
        self._bound: Mapping[str, int] | None = None

    def _open(self) -> None:
        self._raw = None  # before TensorRT 8.6, a profile becomes free only when its context is destroyed
        mark = self._engine.book.mark()
        self._raw = self._engine.new_context(self._scratch)
        if self._raw.active_optimization_profile != self.profile and not self._raw.set_optimization_profile_async(
            self.profile, self._stream
        ):
            self._fail(f"cannot set profile {self.profile} of a context", mark)

    def layers(self) -> list[Layer]:
        """List the engine's layers, with their types for the current shapes."""
        return layers_of_engine(self._engine.flavor, self._engine.raw, context=self._raw)

    @contextmanager
    def watched_by(self, profiler: Any) -> Iterator[None]:
        """Attach a profiler that receives the time of each layer; nothing else may be running.

        A profiler cannot be detached, so the context is recreated afterwards: shapes and addresses must be set again,
        and earlier recordings are invalid.
        """
        self._raw.profiler = profiler
        self._start_again()
        try:
            yield
        finally:
            self._open()
            self._start_again()

    def _start_again(self) -> None:
        self.turn += 1
        self._set = self._bound = None

    def set_shapes(self, shapes: Mapping[str, Shape], values: Mapping[str, Array]) -> dict[str, Shape | None]:
        """Set the shapes of the inputs, and the values of host inputs; return the outputs' shapes.

        If they are set already, nothing changes. Otherwise the context must not be running.

        Args:
            shapes: Input shapes, by tensor name in the engine.
            values: Host arrays, by tensor name in the engine.

        Returns:
            The shape of each output, by tensor name in the engine; None if it depends on the data.

        Raises:
            InputError: TensorRT rejects the shapes; its log is in the message.
        """
        if self._set is None or not _are_same(self._set, (shapes, values)):
            self.turn += 1
            self._set = None
            self._found = self._set_anew(shapes, values)
            self._set = shapes, values  # TensorRT reads the values later, so they are kept alive
        return self._found

    def _set_anew(self, shapes: Mapping[str, Shape], values: Mapping[str, Array]) -> dict[str, Shape | None]:
        mark = self._engine.book.mark()
        for tensor, shape in shapes.items():
            if not self._raw.set_input_shape(tensor, shape):
                self._refuse(f"rejects shape {list(shape)} for {tensor!r}", mark)
        for tensor, array in values.items():
            if not self._raw.set_tensor_address(tensor, array.ctypes.data):
                self._refuse(f"rejects the values of {tensor!r}", mark)
        missing = self._raw.infer_shapes()
        if missing:
            self._refuse(f"cannot infer the shapes of the outputs; missing: {', '.join(missing)}", mark)
        tensors = [edge.tensor for edge in self._engine.outputs]
        found = {tensor: tuple(int(size) for size in self._raw.get_tensor_shape(tensor)) for tensor in tensors}
        if self._data_dependent is None:
            self._data_dependent = {tensor for tensor, shape in found.items() if any(size < 0 for size in shape)}
        return {tensor: None if tensor in self._data_dependent else shape for tensor, shape in found.items()}

    def bind(self, addresses: Mapping[str, int], data_dependent: Sequence[str]) -> None:
        """Set the addresses of tensors, unless these addresses are set already.

        Args:
            addresses: Addresses by tensor name in the engine.
            data_dependent: Outputs whose size is known only after the pass.
        """
        if self._bound is addresses:
            return
        self._bound = None
        mark = self._engine.book.mark()
        for tensor, address in addresses.items():
            if not self._raw.set_tensor_address(tensor, address):
                self._fail(f"rejects the address of {tensor!r}", mark)
        if data_dependent and self._allocator is None:
            self._allocator = _make_allocator(self._engine.flavor.module, self._engine.device)
        for tensor in data_dependent:
            if not self._raw.set_output_allocator(tensor, self._allocator):
                self._fail(f"rejects an allocator for {tensor!r}", mark)
        self._bound = addresses

    def enqueue(self, stream: int) -> None:
        """Queue one pass."""
        if self._allocator is not None:
            self._allocator.shapes.clear()
        mark = self._engine.book.mark()
        if not self._raw.execute_async_v3(stream):
            if self._allocator is not None and self._allocator.failure is not None:
                raise self._allocator.take_failure()
            self._fail("cannot run the pass", mark)

    def allocated(self, tensor: str) -> tuple[int, Shape]:
        """Return address and shape of an output with a data-dependent size; the pass must have finished."""
        if self._allocator.failure is not None:
            raise self._allocator.take_failure()
        shape = self._allocator.shapes.get(tensor)
        if shape is None or any(size < 0 for size in shape):
            shape = tuple(int(size) for size in self._raw.get_tensor_shape(tensor))
        if any(size < 0 for size in shape):
            raise BackendError(
                f"{self._engine.name}: TensorRT computed {tensor!r} without its complete shape, only {list(shape)}"
            )
        return self._allocator.address(tensor), shape

    def is_recordable(self, stream: int) -> bool:
        """Whether TensorRT reports that a pass can be recorded; most flavours cannot tell, so recording is tried."""
        ask = getattr(self._raw, "is_stream_capturable", None)
        return ask is None or bool(ask(stream))

    def _refuse(self, what: str, mark: int) -> None:
        raise InputError(f"TensorRT {what} ({self._engine.name}):\n{self._engine.book.text(mark)}")

    def _fail(self, what: str, mark: int) -> None:
        raise BackendError(f"TensorRT {what} ({self._engine.name}):\n{self._engine.book.text(mark)}")


def _are_same(one: tuple[Mapping[str, Any], ...], other: tuple[Mapping[str, Any], ...]) -> bool:
    (shapes, values), (other_shapes, other_values) = one, other
    return shapes == other_shapes and all(np.array_equal(values[name], other_values[name]) for name in values)


def _make_allocator(module: Any, device: Device) -> Any:
    """Return an ``IOutputAllocator`` that reuses growing blocks: after a few passes, nothing more is allocated."""

    class OutputAllocator(module.IOutputAllocator):  # type: ignore[misc] # the base class is known only at run time
        def __init__(self) -> None:
            module.IOutputAllocator.__init__(self)  # pybind11 requires an explicit call, not super()
            self.blocks: dict[str, Block] = {}
            self.shapes: dict[str, Shape] = {}
            self.failure: OnepassError | None = None

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:  # noqa: ARG002
            # TensorRT calls this from C++, where an exception would be lost; 0 means that there is no memory.
            block = self.blocks.get(tensor_name)
            if block is None or block.size_bytes < size:
                try:
                    self.blocks[tensor_name] = block = device.device_block(max(size, ALIGNMENT))
                except OnepassError as error:
                    self.failure = error
                    return 0
            return block.address

        def reallocate_output_async(
            self, tensor_name: str, memory: int, size: int, alignment: int, stream: int  # noqa: ARG002
        ) -> int:  # fmt: skip
            return self.reallocate_output(tensor_name, memory, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shapes[tensor_name] = tuple(int(size) for size in shape)

        def address(self, tensor: str) -> int:
            block = self.blocks.get(tensor)
            return 0 if block is None else block.address

        def take_failure(self) -> OnepassError:
            failure, self.failure = self.failure, None
            return failure if failure is not None else BackendError("the output allocator failed")

    return OutputAllocator()
