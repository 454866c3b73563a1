"""One execution context of an engine, set up for one shape of inputs at a time."""

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
    """An execution context with its profile chosen; shapes and addresses are set once for each shape of inputs.

    Attributes:
        profile: The number of its profile.
        turn: Counts how often it was set up for other shapes, which makes void what was recorded with it before.
    """

    def __init__(self, engine: Engine, profile: int, *, stream: int, scratch: int) -> None:
        """Make a context; the GPU must be current.

        Args:
            engine: What it is a context of.
            profile: The number of its profile.
            stream: The stream that it runs on.
            scratch: Address of the memory that it computes in.

        Raises:
            BackendError: TensorRT makes no context, or does not let it have the profile.
        """
        self.profile = profile
        self._engine = engine
        self._stream, self._scratch = stream, scratch
        self._raw: Any = None
        self._open()
        self._allocator: Any = None
        # Known before the first pass only: after it, TensorRT 8.5 answers with the shape that the last data led to.
        self._data_dependent: set[str] | None = None
        self.turn = 0
        self._set: tuple[Mapping[str, Shape], Mapping[str, Array]] | None = None
        self._found: dict[str, Shape | None] = {}
        self._bound: Mapping[str, int] | None = None

    def _open(self) -> None:
        self._raw = None  # before TensorRT 8.6 a profile is free only once the context that had it is gone
        mark = self._engine.book.mark()
        self._raw = self._engine.new_context(self._scratch)
        if self._raw.active_optimization_profile != self.profile and not self._raw.set_optimization_profile_async(
            self.profile, self._stream
        ):
            self._fail(f"does not let a context have profile {self.profile}", mark)

    def layers(self) -> list[Layer]:
        """List the engine's layers, with the types that they have for the shapes that are set."""
        return layers_of_engine(self._engine.flavor, self._engine.raw, context=self._raw)

    @contextmanager
    def watched_by(self, profiler: Any) -> Iterator[None]:
        """Let a profiler be told how long each layer takes; nothing else may be running.

        A profiler cannot be taken away from a context, so that is made anew afterwards: shapes and addresses have to be
        set again, and what was recorded is void.
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
        """Set the shapes of the inputs, and the values of those that lie on the host; return the outputs' shapes.

        Where it is set up for these already, nothing changes. Otherwise nothing of it may be running.

        Args:
            shapes: By the engine's tensor.
            values: Arrays on the host, by the engine's tensor.

        Returns:
            The shape of each output by the engine's tensor; None where it depends on the data.

        Raises:
            InputError: TensorRT refuses the shapes; its log is in the message.
        """
        if self._set is None or not _are_same(self._set, (shapes, values)):
            self.turn += 1
            self._set = None
            self._found = self._set_anew(shapes, values)
            self._set = shapes, values  # TensorRT looks at the values later, so they are kept
        return self._found

    def _set_anew(self, shapes: Mapping[str, Shape], values: Mapping[str, Array]) -> dict[str, Shape | None]:
        mark = self._engine.book.mark()
        for tensor, shape in shapes.items():
            if not self._raw.set_input_shape(tensor, shape):
                self._refuse(f"does not take {tensor!r} with the shape {list(shape)}", mark)
        for tensor, array in values.items():
            if not self._raw.set_tensor_address(tensor, array.ctypes.data):
                self._refuse(f"does not take the values of {tensor!r}", mark)
        missing = self._raw.infer_shapes()
        if missing:
            self._refuse(f"cannot tell the shapes of the outputs; it misses {', '.join(missing)}", mark)
        tensors = [edge.tensor for edge in self._engine.outputs]
        found = {tensor: tuple(int(size) for size in self._raw.get_tensor_shape(tensor)) for tensor in tensors}
        if self._data_dependent is None:
            self._data_dependent = {tensor for tensor, shape in found.items() if any(size < 0 for size in shape)}
        return {tensor: None if tensor in self._data_dependent else shape for tensor, shape in found.items()}

    def bind(self, addresses: Mapping[str, int], data_dependent: Sequence[str]) -> None:
        """Say where tensors lie, unless that was said last.

        Args:
            addresses: By the engine's tensor.
            data_dependent: Outputs whose size is known only after the pass.
        """
        if self._bound is addresses:
            return
        self._bound = None
        mark = self._engine.book.mark()
        for tensor, address in addresses.items():
            if not self._raw.set_tensor_address(tensor, address):
                self._fail(f"does not take an address for {tensor!r}", mark)
        if data_dependent and self._allocator is None:
            self._allocator = _make_allocator(self._engine.flavor.module, self._engine.device)
        for tensor in data_dependent:
            if not self._raw.set_output_allocator(tensor, self._allocator):
                self._fail(f"does not take an allocator for {tensor!r}", mark)
        self._bound = addresses

    def enqueue(self, stream: int) -> None:
        """Queue one pass."""
        if self._allocator is not None:
            self._allocator.shapes.clear()
        mark = self._engine.book.mark()
        if not self._raw.execute_async_v3(stream):
            if self._allocator is not None and self._allocator.failure is not None:
                raise self._allocator.take_failure()
            self._fail("does not run the pass", mark)

    def allocated(self, tensor: str) -> tuple[int, Shape]:
        """Return where an output of data-dependent size lies, and its shape; the pass must be over."""
        if self._allocator.failure is not None:
            raise self._allocator.take_failure()
        shape = self._allocator.shapes.get(tensor)
        if shape is None or any(size < 0 for size in shape):
            shape = tuple(int(size) for size in self._raw.get_tensor_shape(tensor))
        if any(size < 0 for size in shape):
            raise BackendError(
                f"{self._engine.name}: TensorRT computed {tensor!r} and does not tell its shape, only {list(shape)}"
            )
        return self._allocator.address(tensor), shape

    def is_recordable(self, stream: int) -> bool:
        """Whether TensorRT says that a pass can be recorded; most flavours do not say, and it is tried."""
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
    """Return an ``IOutputAllocator`` whose blocks grow and stay: after a few passes nothing is allocated any more."""

    class OutputAllocator(module.IOutputAllocator):  # type: ignore[misc] # the base is known at run time only
        def __init__(self) -> None:
            module.IOutputAllocator.__init__(self)  # pybind11 wants its own base called, not super()
            self.blocks: dict[str, Block] = {}
            self.shapes: dict[str, Shape] = {}
            self.failure: OnepassError | None = None

        def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:  # noqa: ARG002
            # TensorRT calls this from C++, where an exception would be lost; 0 tells it that there is no memory.
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
