"""Runtime, engine and inspector of the fake TensorRT. Like the real ones they log what is wrong, and return None."""

# Names of attributes are TensorRT's own.
# ruff: noqa: N815

from __future__ import annotations

import json
import operator
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx

from tests.fakes._classes import make
from tests.fakes._context import Context
from tests.fakes._core import dims, dtype_of, host_memory, log
from tests.fakes._onnx import Network
from tests.fakes._plan import MAGIC, RTX_MAGIC, SERIALIZATION_VERSIONS, EngineFile, TensorInfo, read_head
from tests.fakes._plugins import missing_plugin
from tests.fakes._weights import stripped


class Runtime:
    """Reads engines."""

    _trt: Any

    def __init__(self, logger: Any) -> None:
        if not isinstance(logger, self._trt.ILogger):
            raise TypeError("__init__(): incompatible constructor arguments: Runtime(logger: ILogger)")
        self._trt.need_gpu(logger)
        self._ready = True
        self._logger = logger
        self._trt.use_logger(logger)
        self._trt.track(self)

    max_threads = 1
    gpu_allocator = error_recorder = None
    engine_host_code_allowed = False
    temporary_directory = ""
    tempfile_control_flags = 3
    DLA_core = -1
    num_DLA_cores = 0
    engine_header_size = 24

    @property
    def logger(self) -> Any:
        return self._logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        data = self._read(serialized_engine)
        objection = self._objection(data)
        if objection:
            log(self._trt, self._logger, "ERROR", objection)
            log(self._trt, self._logger, "ERROR", self._trt.wording.failed)
            return None
        return make(self._trt.ICudaEngine, self, EngineFile.from_bytes(data))

    def get_engine_validity(self, serialized_engine: Any) -> Any:
        data = self._read(serialized_engine)
        diagnostics = self._trt.EngineInvalidityDiagnostics
        head = read_head(data)
        if head is None or head.magic != RTX_MAGIC:
            return self._trt.EngineValidity.INVALID, 1 << int(diagnostics.MALFORMED_ENGINE)
        if head.version != SERIALIZATION_VERSIONS[self._trt.api]:
            return self._trt.EngineValidity.INVALID, 1 << int(diagnostics.VERSION_MISMATCH)
        if self._trt.unsupported_gpu():
            return self._trt.EngineValidity.INVALID, 1 << int(diagnostics.UNSUPPORTED_CC)
        return self._trt.EngineValidity.VALID, 0

    def _read(self, source: Any) -> bytes:
        for name in ("IStreamReaderV2", "IStreamReader"):
            kind = getattr(self._trt, name, None)
            if kind is not None and isinstance(source, kind):
                return _read_all(source, named=name)
        return bytes(memoryview(source))

    def _objection(self, data: bytes) -> str | None:  # noqa: PLR0911 - one line a reason
        """Return the line of the log that says why a file is refused, or None."""
        wording, rtx = self._trt.wording, self._trt.api.startswith("rtx")
        head = read_head(data)
        if head is None or head.magic != (RTX_MAGIC if rtx else MAGIC):
            return str(wording.magic)
        mine = SERIALIZATION_VERSIONS[self._trt.engine_api]
        mismatch = wording.version.format(mine, head.version)
        if len(data) < head.length:
            return str(wording.truncated if head.version == mine else mismatch)
        file = EngineFile.from_bytes(data)
        missing = missing_plugin(self._trt, onnx.load_from_string(file.onnx))
        if missing:
            return missing
        if not (file.version_compatible and hasattr(self._trt.Runtime, "engine_host_code_allowed")):
            if head.version != mine or self._trt.api.startswith(("lean", "dispatch")):
                return str(mismatch)
        elif file.has_lean_runtime and not self.engine_host_code_allowed:
            return str(wording.host_code)
        if self._trt.unsupported_gpu():
            return str(wording.unsupported_gpu.format(self._trt.compute))
        portable = file.extra.get("hardware_compatibility_level", "NONE") != "NONE"
        if not rtx and not portable and file.compute != self._trt.compute:
            return str(wording.device.format(self._trt.compute, file.compute))
        return None


def _read_all(source: Any, *, named: str) -> bytes:
    parts = []
    while part := source.read(1 << 20) if named == "IStreamReader" else source.read(1 << 20, 0):
        parts.append(bytes(part))
    return b"".join(parts)


class Engine:
    """An engine: what it is; contexts run it."""

    _trt: Any

    def _start(self, runtime: Any, file: EngineFile) -> None:
        self._runtime = runtime  # TensorRT keeps it alive, too
        self._file = file
        self._network = Network(file.onnx)
        self._tensors = {one.name: one for one in file.tensors}
        self._contexts: weakref.WeakSet[Any] = weakref.WeakSet()
        self._budget = file.streamable
        self._trt.track(self)

    error_recorder = None

    # ---- inputs and outputs ------------------------------------------------------------------------------------

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str | None:
        names = list(self._tensors)
        if not 0 <= operator.index(index) < len(names):
            self._complain(f"getIOTensorName: index {index} is out of range")
            return None
        return names[index]

    def get_tensor_mode(self, name: str) -> Any:
        one = self._tensor(name, "getTensorIOMode")
        modes = self._trt.TensorIOMode
        return modes.NONE if one is None else modes.INPUT if one.is_input else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        one = self._tensor(name, "getTensorDataType")
        return self._trt.DataType.FLOAT if one is None else self._trt.DataType[one.dtype]

    def get_tensor_shape(self, name: str) -> Any:
        one = self._tensor(name, "getTensorShape")
        return dims(self._trt, None if one is None else one.shape)

    def get_tensor_location(self, name: str) -> Any:
        one = self._tensor(name, "getTensorLocation")
        places = self._trt.TensorLocation
        return places.HOST if one is not None and one.on_host else places.DEVICE

    def is_shape_inference_io(self, name: str) -> bool:
        one = self._tensor(name, "isShapeInferenceIO")
        return one is not None and one.on_host

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        one = self._tensor(name, "getTensorBytesPerComponent")
        return -1 if one is None else dtype_of(one.dtype).itemsize

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        return -1

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        return -1

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        if not hasattr(self._trt, "TensorFormat"):  # bound, but its type is not: lean and dispatch
            raise TypeError("Unregistered type : nvinfer1::TensorFormat")
        return self._trt.TensorFormat.LINEAR

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        return self._file.layouts.get(name, "Row major linear FP32 format (kLINEAR)")

    def is_debug_tensor(self, name: str) -> bool:
        return False

    def get_aliased_input_tensor(self, name: str) -> str | None:
        return None

    # ---- profiles ----------------------------------------------------------------------------------------------

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._file.profiles)

    # A version may have one name and not the other, so neither is called through the other.

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        return self._profile_shape(name, profile_index)

    def get_profile_shape(self, profile_index: int, binding: str) -> list[Any]:
        return self._profile_shape(binding, profile_index)

    def get_tensor_profile_values(self, name: str, profile_index: int) -> list[list[int]]:
        return self._profile_values(name, profile_index)

    def get_profile_shape_input(self, profile_index: int, binding: str) -> list[list[int]]:
        return self._profile_values(binding, profile_index)

    def _profile_shape(self, name: str, profile_index: int) -> list[Any]:
        one = self._tensor(name, "getProfileShape")
        if one is None or not one.is_input or not 0 <= profile_index < len(self._file.profiles):
            self._complain(f"getProfileShape: {name!r} is no input, or there is no profile {profile_index}")
            return [dims(self._trt, None)] * 3
        if one.on_host:  # its size is fixed; its values have a range of their own
            return [dims(self._trt, one.shape)] * 3
        return [dims(self._trt, shape) for shape in self._file.profiles[profile_index][name]]

    def _profile_values(self, name: str, profile_index: int) -> list[list[int]]:
        one = self._tensor(name, "getProfileTensorValues")
        if one is None or not one.on_host:
            return []
        return [list(values) for values in self._file.profiles[profile_index][name]]

    # ---- the rest ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def num_layers(self) -> int:
        return len(self._file.layers)

    @property
    def num_aux_streams(self) -> int:
        return 0

    @property
    def refittable(self) -> bool:
        return self._file.refittable

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def engine_capability(self) -> Any:
        return self._trt.EngineCapability.STANDARD

    @property
    def profiling_verbosity(self) -> Any:
        return self._trt.ProfilingVerbosity[self._file.verbosity]

    @property
    def hardware_compatibility_level(self) -> Any:
        return self._trt.HardwareCompatibilityLevel[self._file.extra.get("hardware_compatibility_level", "NONE")]

    @property
    def tactic_sources(self) -> int:
        return int(self._file.extra.get("tactic_sources", 0))

    @property
    def device_memory_size(self) -> int:
        return self._file.device_memory

    @property
    def device_memory_size_v2(self) -> int:
        return self._file.device_memory

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        return self._file.device_memory

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return self._file.device_memory

    @property
    def streamable_weights_size(self) -> int:
        return self._file.streamable

    @property
    def minimum_weight_streaming_budget(self) -> int:
        return self._file.streamable // 8

    @property
    def weight_streaming_budget(self) -> int:
        return self._budget

    @weight_streaming_budget.setter
    def weight_streaming_budget(self, budget: int) -> None:
        self._set_budget(budget)

    @property
    def weight_streaming_budget_v2(self) -> int:
        return self._budget

    @weight_streaming_budget_v2.setter
    def weight_streaming_budget_v2(self, budget: int) -> None:
        self._set_budget(budget)

    @property
    def weight_streaming_scratch_memory_size(self) -> int:
        return 0

    def get_weight_streaming_automatic_budget(self) -> int:
        return self._file.streamable // 2

    def serialize(self) -> Any:
        return self._written(exclude=self._file.was_stripped)

    def create_serialization_config(self) -> Any:
        names = {"EXCLUDE_WEIGHTS"} if self._file.was_stripped else set()
        return make(self._trt.ISerializationConfig, names)

    def serialize_with_config(self, config: Any) -> Any:
        return self._written(exclude="EXCLUDE_WEIGHTS" in config._flags)

    def _written(self, *, exclude: bool) -> Any:
        file = replace(self._file, was_stripped=exclude)
        if exclude:
            file = replace(file, onnx=stripped(file.onnx), stripped=True)
        return host_memory(self._trt, file.to_bytes())

    def create_engine_inspector(self) -> Any:
        return make(self._trt.EngineInspector, self)

    def create_execution_context(self, strategy: Any = None) -> Any:
        if strategy is not None and not hasattr(self._trt, "ExecutionContextAllocationStrategy"):
            raise TypeError("create_execution_context(): incompatible function arguments")
        return make(self._trt.IExecutionContext, self, getattr(strategy, "name", "") == "USER_MANAGED")

    def create_execution_context_without_device_memory(self) -> Any:
        return make(self._trt.IExecutionContext, self, True)

    def _set_budget(self, budget: int) -> None:
        if self._contexts:
            self._complain("setWeightStreamingBudget: cannot change the budget while there are execution contexts")
            return
        self._budget = min(operator.index(budget), self._file.streamable)

    def _complain(self, text: str) -> None:
        log(self._trt, self._runtime.logger, "ERROR", f"ICudaEngine::{text}")

    def _tensor(self, name: str, function: str) -> TensorInfo | None:
        if name not in self._tensors:
            self._complain(f"{function}: Error Code 3: API Usage Error (there is no tensor {name!r})")
        return self._tensors.get(name)


class Inspector:
    """Tells of the layers, as JSON or in lines."""

    _trt: Any
    execution_context = error_recorder = None

    def _start(self, engine: Any) -> None:
        self._engine = engine

    def get_layer_information(self, layer_index: int, format: Any) -> str:  # noqa: A002 - TensorRT's own name
        layers = self._layers()
        if not 0 <= layer_index < len(layers):
            self._engine._complain(f"getLayerInformation: there is no layer {layer_index}")
            return "null" if format.name == "JSON" else ""
        return json.dumps(layers[layer_index]) if format.name == "JSON" else str(layers[layer_index])

    def get_engine_information(self, format: Any) -> str:  # noqa: A002 - TensorRT's own name
        layers, names = self._layers(), list(self._engine._tensors)
        if format.name == "JSON":
            return json.dumps({"Layers": layers, "Bindings": names})
        return "\n".join(["Layers:", *map(str, layers), "Bindings:", *names])

    def _layers(self) -> list[Any]:
        """Names alone, unless the engine was built to tell more; nothing if it was built to tell nothing."""
        file = self._engine._file
        if file.verbosity == "NONE":
            return []
        return [self._told(layer) if file.verbosity == "DETAILED" else layer["Name"] for layer in file.layers]

    def _told(self, layer: Mapping[str, Any]) -> dict[str, Any]:
        """TensorRT 8 tells no types of tensors whose shapes are dynamic, until it knows of a context that has some."""
        told = dict(layer)
        dynamic = any(-1 in one.shape for one in self._engine._tensors.values())
        if dynamic and self._trt.__version__.startswith("8.") and self.execution_context is None:
            for side in ("Inputs", "Outputs"):
                told[side] = [{**edge, "Format/Datatype": "N/A due to dynamic shapes"} for edge in layer[side]]
        return told


RUNTIME: dict[str, type] = {
    "Runtime": Runtime, "ICudaEngine": Engine, "IExecutionContext": Context, "EngineInspector": Inspector,
}  # fmt: skip
