"""The execution context of the fake TensorRT: strict about order, shapes, addresses and streams.

What it queues on the fake CUDA's stream computes with ONNX Runtime, from and to the addresses that were set, at the
time of execution. A captured graph therefore computes with whatever lies there at each launch.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.fakes._core import dims, dtype_of, log, shape_argument
from tests.fakes._driver import Failure
from tests.fakes._memory import Span
from tests.fakes._onnx import Arrays, Network, Shape
from tests.fakes._places import Alive, Placed, Refusal, feeds_of
from tests.fakes._plan import TensorInfo
from tests.fakes._queue import Op, Stream

_ALIGNMENT = 256


class Context:
    """Runs an engine, one pass at a time."""

    _trt: Any
    name = ""
    nvtx_verbosity = temporary_allocator = error_recorder = None
    _profiler: Any = None
    debug_sync = False
    enqueue_emits_profile = True
    persistent_cache_limit = 0

    def _start(self, engine: Any, user_managed: bool) -> None:
        self._engine = engine  # TensorRT keeps it alive, too
        self._alive = Alive()
        self._memory = 0 if user_managed else None
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}
        self._led_to: dict[str, Shape] = {}
        self._profile = -1
        self._shapes: dict[str, Shape] = {}
        self._flushed = False
        if self._trt.shares_profiles or not self._taken(0):
            self._choose(0)
        else:
            self._log("WARNING", "Could not set default profile 0 for execution context. "
                                 "Profile index must be set explicitly.")  # fmt: skip
        engine._contexts.add(self)
        self._trt.track(self)

    def __del__(self) -> None:
        if "_alive" in self.__dict__:
            self._alive.yes = False

    # ---- before a pass -----------------------------------------------------------------------------------------

    @property
    def engine(self) -> Any:
        return self._engine

    @property
    def profiler(self) -> Any:
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Any) -> None:
        if profiler is None:  # as 8.5.3 has it; later ones are not known to be otherwise
            self._trt.fault("TensorRT: setProfiler: condition: (profiler) != nullptr")
        else:
            self._profiler = profiler

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        def work() -> None:
            stream = self._stream(stream_handle)
            if not 0 <= profile_index < self._engine.num_optimization_profiles:
                raise Refusal(f"setOptimizationProfileAsync: there is no profile {profile_index}")
            if not self._trt.shares_profiles and self._taken(profile_index):
                raise Refusal(
                    f"Profile {profile_index} has been chosen by another IExecutionContext. Use another profileIndex "
                    "or destroy the IExecutionContext that use this profile."
                )
            self._forbid_capture(stream, "a change of profile")
            self._choose(profile_index)

        return self._try(work)

    def set_input_shape(self, name: str, shape: Any) -> bool:
        sizes = shape_argument(shape, "set_input_shape")

        def work() -> None:
            one = self._known(name, "setInputShape", is_input=True)
            self._need_profile("setInputShape")
            low, _, high = (one.shape,) * 3 if one.on_host else self._engine._file.profiles[self._profile][name]
            good = len(sizes) == len(one.shape) and all(
                least <= size <= most for least, size, most in zip(low, sizes, high, strict=True)
            )
            if not good:
                raise Refusal(
                    f"IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, "
                    f"condition: engineDims.d[i] == dims.d[i] || profileMinDims <= dims <= profileMaxDims. Set "
                    f"dimension {list(sizes)} of tensor {name} is not in the range of optimization profile "
                    f"{self._profile}: {list(low)} to {list(high)})"
                )
            if self._shapes.get(name) != sizes:
                self._flushed = False
                self._alive.changes += 1
            self._shapes[name] = sizes

        return self._try(work)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        address = operator.index(memory)

        def work() -> None:
            one = self._known(name, "setTensorAddress")
            if address % _ALIGNMENT and not one.on_host:
                raise Refusal(
                    f"IExecutionContext::setTensorAddress: Error Code 3: API Usage Error (Parameter check failed, "
                    f"condition: reinterpret_cast<uintptr_t>(data) % {_ALIGNMENT} == 0. Tensor {name} is misaligned)"
                )
            block = self._trt.cuda.memory.around(address)
            if one.on_host and block is not None and block.kind == "device":
                self._trt.fault(f"the host tensor {name!r} was given device memory")
                raise Refusal(f"IExecutionContext::setTensorAddress: tensor {name} is on the host, its address is not")
            # Addresses are part of what is recorded; that a context may have others afterwards was seen with 8.5 only.
            if self._addresses.get(name) != address and self._trt.shares_profiles:
                self._alive.changes += 1
            self._addresses[name] = address

        return self._try(work)

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        if output_allocator is not None and not isinstance(output_allocator, self._trt.IOutputAllocator):
            raise TypeError("set_output_allocator(): incompatible function arguments")

        def work() -> None:
            self._known(name, "setOutputAllocator", is_input=False)
            self._allocators[name] = output_allocator

        return self._try(work)

    def get_output_allocator(self, name: str) -> Any:
        return self._allocators.get(name)

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    @property
    def device_memory(self) -> int:
        return self._memory or 0

    @device_memory.setter
    def device_memory(self, memory: int) -> None:
        self._use_memory(memory, self._engine._file.device_memory)

    def set_device_memory(self, memory: int, size: int) -> None:
        self._use_memory(memory, size)

    def _use_memory(self, memory: int, size: int) -> None:
        block = self._trt.cuda.memory.around(memory)
        if block is None or not block.holds(Span(memory, size)) or memory % _ALIGNMENT:
            self._log("ERROR", "IExecutionContext::setDeviceMemory: no such memory, or it is misaligned")
        elif size < self._engine._file.device_memory:
            self._log("ERROR", f"IExecutionContext::setDeviceMemory: {size} bytes are too few")
        else:
            if self._memory != memory:
                self._alive.changes += 1
            self._memory = memory

    def update_device_memory_size_for_shapes(self) -> int:
        return int(self._engine._file.device_memory)

    # ---- shapes ------------------------------------------------------------------------------------------------

    def infer_shapes(self) -> list[str]:
        return self._missing()

    def _missing(self) -> list[str]:
        return [
            name
            for name, one in self._engine._tensors.items()
            if one.is_input and (-1 in self._shape_of(one) or (one.on_host and not self._addresses.get(name)))
        ]

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not any(-1 in self._shape_of(one) for one in self._engine._tensors.values() if one.is_input)

    @property
    def all_shape_inputs_specified(self) -> bool:
        return all(self._addresses.get(name) for name, one in self._engine._tensors.items() if one.on_host)

    def get_tensor_shape(self, name: str) -> Any:
        one = self._engine._tensor(name, "getTensorShape")
        # So does TensorRT 8.5.3: after a pass it says what the data led to, even once the inputs' shapes have changed.
        return dims(self._trt, self._led_to.get(name) or (None if one is None else self._shape_of(one)))

    def get_tensor_strides(self, name: str) -> Any:
        one = self._engine._tensor(name, "getTensorStrides")
        if one is None:
            return dims(self._trt, None)
        shape = self._shape_of(one)
        return dims(self._trt, [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))])

    def get_max_output_size(self, name: str) -> int:
        one = self._engine._tensor(name, "getMaxOutputSize")
        if one is None or one.is_input or self._missing():
            return -1
        sizes = [self._shape_of(each) for each in self._engine._tensors.values() if each.is_input]
        most = max([1, *(int(np.prod(shape, dtype=np.int64)) for shape in sizes)])
        return int(np.prod([most if size < 0 else size for size in self._shape_of(one)], dtype=np.int64)) * int(
            dtype_of(one.dtype).itemsize
        )

    # ---- a pass ------------------------------------------------------------------------------------------------

    def is_stream_capturable(self, stream_handle: int) -> bool:
        return not self._uncapturable()

    def execute_async_v3(self, stream_handle: int) -> bool:
        return self._try(lambda: self._enqueue(self._stream(stream_handle)))

    def _enqueue(self, stream: Stream) -> None:
        self._need_profile("enqueueV3")
        missing = self._missing()
        if missing:
            raise Refusal(f"IExecutionContext::enqueueV3: Error Code 3: API Usage Error (shapes or values of input "
                          f"tensors are not specified: {', '.join(missing)})")  # fmt: skip
        if self._memory == 0:
            raise Refusal("IExecutionContext::enqueueV3: Error Code 3: API Usage Error (device memory is not set)")
        network: Network = self._engine._network
        values = self._host_values()
        shapes = self._output_shapes(values)
        inputs = [self._place(one, self._shape_of(one)) for one in self._ios(is_input=True)]
        outputs = {one.name: shapes[one.name] for one in self._ios(is_input=False)}
        for name in outputs:
            if not self._addresses.get(name) and self._allocators.get(name) is None:
                raise Refusal(f"IExecutionContext::enqueueV3: Error Code 3: API Usage Error (Address is not set for "
                              f"output tensor {name}. Call setTensorAddress before enqueue)")  # fmt: skip
        late = any(-1 in shape for shape in outputs.values())
        self._check_capture(stream, late=late)
        if late:
            # Sizes are known only once the data is: TensorRT waits, here, on the host.
            self._trt.cuda.drain(stream)
            self._trt.cuda.raise_sticky()
            results = network.run(feeds_of(inputs, values))
            decided = [name for name, shape in outputs.items() if -1 in shape]
            outputs = {name: results[self._engine._tensors[name].source].shape for name in outputs}
            self._led_to |= {name: outputs[name] for name in decided}
        targets = [self._target(name, shape) for name, shape in outputs.items()]
        self._trt.cuda.enqueue(stream, self._op(network, inputs, values, targets, captured=stream.capture is not None))
        self._flushed = self._flushed or stream.capture is None
        self._tell_profiler(stream)

    def _tell_profiler(self, stream: Stream) -> None:
        """Wait, and tell a profiler of every layer; as with the real one, that cannot be captured."""
        if self._profiler is None:
            return
        if stream.capture is not None:
            self._forbid_capture(stream, "a profiler looks on")
        self._trt.cuda.drain(stream)
        for number, layer in enumerate(self._engine._file.layers):
            self._profiler.report_layer_time(layer["Name"], (number + 1) / 100)

    def _op(
        self, network: Network, inputs: list[Placed], values: Arrays, targets: list[Placed], *, captured: bool
    ) -> Op:
        cuda, alive, changes = self._trt.cuda, self._alive, self._alive.changes
        on_device = [one for one in inputs if not one.info.on_host]
        scratch = (Span(self._memory, self._engine._file.device_memory),) if self._memory else ()

        def run() -> None:
            if not alive.yes:
                raise Failure("CUDA_ERROR_ILLEGAL_ADDRESS", "the execution context was destroyed before its work ran")
            if captured and alive.changes != changes:
                cuda.fault("a graph was launched whose execution context had been set up anew since it was captured")
            for one in (*on_device, *targets):
                if one.span.size and not one.info.on_host and cuda.memory.around(one.address) is None:
                    raise Failure("CUDA_ERROR_ILLEGAL_ADDRESS", f"tensor {one.info.name!r} lies in no GPU's memory")
            try:
                results = network.run(feeds_of(inputs, values))
            except Exception as error:
                raise Failure("CUDA_ERROR_LAUNCH_FAILED", f"the fake engine failed: {error}") from error
            for target in targets:
                target.write(results[target.info.source])

        return Op(
            "CU_GRAPH_NODE_TYPE_KERNEL",
            run,
            reads=tuple(one.span for one in on_device if one.span.size),
            writes=(*(one.span for one in targets if one.span.size), *scratch),
            uses=(alive,),
        )

    def _target(self, name: str, shape: Shape) -> Placed:
        """Return where an output goes, having asked its allocator if it has one."""
        placed = self._place(self._engine._tensors[name], shape, needed=False)
        allocator = self._allocators.get(name)
        if allocator is None:
            return placed
        size = max(placed.span.size, 1)
        address = allocator.reallocate_output(name, self._addresses.get(name, 0), size, _ALIGNMENT)
        if not address:
            raise Refusal(f"IExecutionContext::enqueueV3: Error Code 2: OutOfMemory (Requested size was {size} bytes.)")
        self._addresses[name] = operator.index(address)
        allocator.notify_shape(name, dims(self._trt, shape))
        return self._place(self._engine._tensors[name], shape)

    def _place(self, one: TensorInfo, shape: Shape, *, needed: bool = True) -> Placed:
        address = self._addresses.get(one.name, 0)
        if needed and not address:
            raise Refusal(f"IExecutionContext::enqueueV3: Error Code 3: API Usage Error (Address is not set for input "
                          f"tensor {one.name}. Call setTensorAddress before enqueue)")  # fmt: skip
        network: Network = self._engine._network
        dtype = (network.inputs if one.is_input else network.outputs)[one.source][0]
        return Placed(one, shape, dtype, address)

    def _check_capture(self, stream: Stream, *, late: bool) -> None:
        """Refuse, and break the capture, where a graph cannot hold what is about to be queued."""
        if stream.capture is None:
            return
        reason = self._uncapturable()
        if late:
            reason = "the shape of an output depends on data"
        if not self._flushed:
            reason = "shapes or the profile changed, and no enqueueV3 came between that and the capture"
        if reason:
            self._forbid_capture(stream, reason)

    def _uncapturable(self) -> str | None:
        file = self._engine._file
        if not file.capturable:
            return "the engine has loops or conditions on the device"
        return "weights are streamed" if self._engine._budget < file.streamable else None

    def _forbid_capture(self, stream: Stream, reason: str) -> None:
        if stream.capture:
            stream.capture.broken = reason
            raise Refusal(f"IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (operation not permitted when "
                          f"stream is capturing: {reason})")  # fmt: skip

    # ---- below -------------------------------------------------------------------------------------------------

    def _try(self, work: Any) -> bool:
        """Do something; whatever is wrong with it becomes a line of the log and False."""
        with self._trt.cuda.lock:
            try:
                work()
            except Refusal as refusal:
                self._log("ERROR", str(refusal))
                return False
            except Failure as failure:
                if failure.fault:
                    self._trt.fault(f"TensorRT: {failure.fault}")
                self._log("ERROR", f"IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime ({failure.error})")
                return False
            return True

    def _stream(self, handle: int) -> Stream:
        if self._trt.cuda.current is None:
            raise Failure("CUDA_ERROR_INVALID_CONTEXT", "no context is current on this thread")
        stream: Stream = self._trt.cuda.work_stream(operator.index(handle))
        return stream

    def _log(self, severity: str, text: str) -> None:
        log(self._trt, self._engine._runtime.logger, severity, text)

    def _known(self, name: str, function: str, *, is_input: bool | None = None) -> TensorInfo:
        one: TensorInfo | None = self._engine._tensors.get(name)
        if one is None or is_input not in (None, one.is_input):
            raise Refusal(f"IExecutionContext::{function}: Error Code 3: API Usage Error ({name!r} is no such tensor)")
        return one

    def _need_profile(self, function: str) -> None:
        if self._profile < 0:
            raise Refusal(
                f"3: [executionContext.cpp::{function}::2525] Error Code 3: API Usage Error (Parameter check failed "
                f"at: runtime/api/executionContext.cpp::{function}::2525, condition: mOptimizationProfile >= 0 )"
            )

    def _taken(self, profile: int) -> bool:
        return any(one._profile == profile for one in self._engine._contexts if one is not self)

    def _choose(self, profile: int) -> None:
        self._profile, self._flushed = profile, False
        self._alive.changes += 1
        self._shapes = {one.name: one.shape for one in self._ios(is_input=True) if -1 not in one.shape}

    def _ios(self, *, is_input: bool) -> list[TensorInfo]:
        return [one for one in self._engine._tensors.values() if one.is_input is is_input]

    def _shape_of(self, one: TensorInfo) -> Shape:
        if one.is_input:
            return self._shapes.get(one.name, one.shape)
        return one.shape if self._missing() else self._output_shapes(self._host_values())[one.name]

    def _output_shapes(self, values: Arrays) -> Mapping[str, Shape]:
        network: Network = self._engine._network
        shapes = {one.source: self._shape_of(one) for one in self._ios(is_input=True)}
        found = network.output_shapes(shapes, values)
        return {one.name: found[one.source] for one in self._ios(is_input=False)}

    def _host_values(self) -> Arrays:
        """Return the values of the host inputs; they are read now, not when the work runs."""
        hosts = [one for one in self._ios(is_input=True) if one.on_host]
        return {one.source: self._place(one, self._shape_of(one)).read() for one in hosts}
