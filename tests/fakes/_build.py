"""Builder, configuration, profiles and timing cache of the fake TensorRT."""

# Names of attributes are TensorRT's own.
# ruff: noqa: N815

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

from tests.fakes._classes import make
from tests.fakes._compile import compile_engine
from tests.fakes._core import dims, host_memory, log, shape_argument
from tests.fakes._network import NETWORK
from tests.fakes._plan import Triple
from tests.fakes._weights import stripped

_CACHE_MARK = b"fake timing cache of "
# What TensorRT computes in half precision when it is allowed to.
_COMPUTE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_STEPS = 3


class OptimizationProfile:
    """Ranges of shapes, and of the values of shape tensors."""

    _trt: Any
    extra_memory_target = 1.0

    def _start(self) -> None:
        self._ranges: dict[str, Triple] = {}
        self._values: dict[str, Triple] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 - TensorRT's own names
        self._ranges[input] = _checked_triple(input, min, opt, max)

    def set_shape_input(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        self._values[input] = _checked_triple(input, min, opt, max)

    def get_shape(self, input: str) -> list[Any]:  # noqa: A002
        return [dims(self._trt, shape) for shape in self._ranges.get(input, ())]

    def get_shape_input(self, input: str) -> list[list[int]]:  # noqa: A002
        return [list(values) for values in self._values.get(input, ())]

    def __bool__(self) -> bool:
        return True


def _checked_triple(name: str, low: Any, best: Any, high: Any) -> Triple:
    triple = (shape_argument(low, name), shape_argument(best, name), shape_argument(high, name))
    if len({len(one) for one in triple}) != 1 or any(not a <= b <= c for a, b, c in zip(*triple, strict=True)):
        raise ValueError(f"Shape provided for {name} is inconsistent with other shapes: {triple}")
    return triple


class TimingCache:
    """Bytes with the mark of the version that they belong to."""

    _trt: Any

    def _start(self, data: bytes) -> None:
        self._data = data

    def serialize(self) -> Any:
        return host_memory(self._trt, self._data)

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        return bool(input_cache._data.startswith(_CACHE_MARK + self._trt.api.encode()))

    def reset(self) -> bool:
        self._data = _CACHE_MARK + self._trt.api.encode()
        return True


class BuilderConfig:
    """What a build is asked for."""

    _trt: Any
    builder_optimization_level = 3
    avg_timing_iterations = 1
    max_aux_streams = 0
    max_num_tactics = -1
    l2_limit_for_tiling = 0
    DLA_core = -1
    profile_stream = 0
    progress_monitor = None
    algorithm_selector = int8_calibrator = None
    num_compute_capabilities = 1
    remote_auto_tuning_config = ""

    def _start(self) -> None:
        members = self._trt.BuilderFlag.__members__
        self._flags = {"TF32"} & set(members)
        self._pools: dict[str, int] = {}
        self._profiles: list[Any] = []
        self._cache: Any = None
        self._tactics: int | None = None
        self._preview: dict[str, bool] = {}
        self._targets: dict[int, Any] = {}
        for name, enum, member in (
            ("profiling_verbosity", "ProfilingVerbosity", "LAYER_NAMES_ONLY"),
            ("hardware_compatibility_level", "HardwareCompatibilityLevel", "NONE"),
            ("engine_capability", "EngineCapability", "STANDARD"),
            ("default_device_type", "DeviceType", "GPU"),
            ("tiling_optimization_level", "TilingOptimizationLevel", "NONE"),
            ("runtime_platform", "RuntimePlatform", "SAME_AS_BUILD"),
        ):
            if hasattr(type(self), name):
                setattr(self, name, getattr(self._trt, enum)[member])

    # The values of these come from _start; the names have to be here for the class to have them.
    profiling_verbosity = hardware_compatibility_level = engine_capability = default_device_type = None
    tiling_optimization_level = runtime_platform = None

    @property
    def flags(self) -> int:
        return sum(1 << int(self._trt.BuilderFlag[name]) for name in self._flags)

    @flags.setter
    def flags(self, mask: int) -> None:
        self._flags = {name for name, one in self._trt.BuilderFlag.__members__.items() if mask >> int(one) & 1}

    def set_flag(self, flag: Any) -> None:
        self._flags.add(self._own(flag))

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(self._own(flag))

    def get_flag(self, flag: Any) -> bool:
        return self._own(flag) in self._flags

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._pools[pool.name] = operator.index(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self._pools.get(pool.name, 80 << 30)

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self._tactics = operator.index(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        return self._tactic_sources()

    def _hardware(self) -> str:
        return getattr(getattr(self, "hardware_compatibility_level", None), "name", "NONE")

    def _tactic_sources(self) -> int:
        every = sum(1 << int(one) for one in self._trt.TacticSource)
        return every if self._tactics is None else self._tactics

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        self._preview[feature.name] = enable

    def get_preview_feature(self, feature: Any) -> bool:
        return self._preview.get(feature.name, False)

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        data = bytes(memoryview(serialized_timing_cache))
        return make(self._trt.ITimingCache, data or _CACHE_MARK + self._trt.api.encode())

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        good = cache._data.startswith(_CACHE_MARK + self._trt.api.encode())
        if good or (ignore_mismatch and cache._data.startswith(_CACHE_MARK)):
            self._cache = cache
            return True
        return False

    def get_timing_cache(self) -> Any:
        return self._cache

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        if not 0 <= index < self.num_compute_capabilities:
            return False
        self._targets[index] = compute_capability
        return True

    def get_compute_capability(self, index: int) -> Any:
        return self._targets.get(index, self._trt.ComputeCapability.NONE)

    def reset(self) -> None:
        self._start()

    def _own(self, flag: Any) -> str:
        if not isinstance(flag, self._trt.BuilderFlag):
            raise TypeError("incompatible function arguments: a BuilderFlag is expected")
        return str(flag.name)

    def _asked(self) -> dict[str, Any]:
        """Return everything that was asked for, in plain values, for assertions."""
        return {
            "flags": sorted(self._flags),
            "memory": dict(self._pools),
            "profiles": [{"shapes": dict(one._ranges), "values": dict(one._values)} for one in self._profiles],
            "tactic_sources": self._tactics,
            "timing_cache": self._cache is not None,
            "optimization_level": getattr(self, "builder_optimization_level", None),
            "verbosity": self.profiling_verbosity.name,  # type: ignore[attr-defined]
            "hardware": self._hardware(),
            "device": getattr(self.default_device_type, "name", "GPU"),
            "dla": self.DLA_core,
            "targets": [one.name for _, one in sorted(self._targets.items())],
        }


class Builder:
    """Builds engines."""

    _trt: Any
    max_threads = 1
    max_batch_size = 1
    max_DLA_batch_size = 1
    num_DLA_cores = 0
    platform_has_fast_fp16 = platform_has_fast_int8 = platform_has_tf32 = True
    gpu_allocator = error_recorder = None

    def __init__(self, logger: Any) -> None:
        if not isinstance(logger, self._trt.ILogger):
            raise TypeError("__init__(): incompatible constructor arguments: Builder(logger: ILogger)")
        self._trt.need_gpu(logger)
        self._ready = True
        self._logger = logger
        self._trt.use_logger(logger)

    @property
    def logger(self) -> Any:
        return self._logger

    def create_network(self, flags: int = 0) -> Any:
        explicit = getattr(self._trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
        if self._trt.api == "8.5.3" and not operator.index(flags) >> int(explicit or 0) & 1:
            raise NotImplementedError("the fake TensorRT 8.5 has no networks with an implicit batch")
        return make(self._trt.INetworkDefinition, self, operator.index(flags))

    def create_builder_config(self) -> Any:
        return make(self._trt.IBuilderConfig)

    def create_optimization_profile(self) -> Any:
        return make(self._trt.IOptimizationProfile)

    def is_network_supported(self, network: Any, config: Any) -> bool:
        return network._model is not None

    def reset(self) -> None:
        """Forget nothing: a fake builder keeps nothing."""

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        return self._built(network, config)

    def _built(self, network: Any, config: Any) -> Any:
        problem = self._problem(network, config)
        if problem is None and not self._report_progress(config):
            problem = "IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (Build was cancelled.)"
        if problem:
            log(self._trt, self._logger, "ERROR", problem)
            return None
        file = self._compiled(network, config)
        if "STRIP_PLAN" in config._flags:
            file = replace(file, onnx=stripped(file.onnx), was_stripped=True, stripped=True)
        self._trt.builds.append({**config._asked(), "network_flags": network._flags, "onnx": network._model.data})
        if config._cache is not None:
            config._cache._data += b" +1"
        return host_memory(self._trt, file.to_bytes())

    def build_engine_with_config(self, network: Any, config: Any) -> Any:
        data = self._built(network, config)
        return None if data is None else self._trt.Runtime(self._logger).deserialize_cuda_engine(data)

    def build_serialized_network_to_stream(self, network: Any, config: Any, stream_writer: Any) -> bool:
        data = self._built(network, config)
        return data is not None and stream_writer.write(bytes(data)) == len(data)

    def _problem(self, network: Any, config: Any) -> str | None:
        if network._model is None:
            return (
                "IBuilder::buildSerializedNetwork: Error Code 4: Internal Error (Network must have at least one output)"
            )
        dynamic = [one for one in network._inputs if -1 in one._info.shape or one._info.on_host]
        if dynamic and not config._profiles:
            return (
                "4: [network.cpp::validate::3036] Error Code 4: Internal Error (Network has dynamic or shape inputs, "
                "but no optimization profile has been defined.)"
            )
        for number, profile in enumerate(config._profiles):
            for one in dynamic:
                if one._name not in (profile._values if one._info.on_host else profile._ranges):
                    return (
                        f"4: [network.cpp::validate::3049] Error Code 4: Internal Error (Network has dynamic or shape "
                        f"input {one._name}, but profile {number} has no range for it.)"
                    )
        if "WEIGHT_STREAMING" in config._flags and not self._strongly_typed(network):
            return (
                "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (weights need strong types to stream)"
            )
        return None

    def _strongly_typed(self, network: Any) -> bool:
        if not hasattr(self._trt.BuilderFlag, "FP16"):
            return True
        flag = getattr(self._trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return flag is not None and bool(network._flags >> int(flag) & 1)

    def _compiled(self, network: Any, config: Any) -> Any:
        profiles = [self._completed(network, one) for one in config._profiles or [make(self._trt.IOptimizationProfile)]]
        model, flags = network._model, config._flags
        reduced: dict[str, str] = {}
        for lower, name in (("FP16", "FP16"), ("BF16", "BF16")):
            if lower in flags and not self._strongly_typed(network):
                reduced |= {
                    layer._name: name
                    for layer in network._layers
                    if layer._node.op_type in _COMPUTE and getattr(layer._precision, "name", "HALF") != "FLOAT"
                }
        return compile_engine(
            self._trt.engine_api, model, profiles, names=network._tensor_names(), reduced=reduced, name=network.name,
            verbosity=config.profiling_verbosity.name, compute=self._trt.compute,
            streamable=max(model.proto.ByteSize(), 1024) if "WEIGHT_STREAMING" in flags else 0,
            version_compatible="VERSION_COMPATIBLE" in flags,
            has_lean_runtime="VERSION_COMPATIBLE" in flags and "EXCLUDE_LEAN_RUNTIME" not in flags,
            refittable=bool(flags & {"REFIT", "STRIP_PLAN", "REFIT_IDENTICAL", "REFIT_INDIVIDUAL"}),
            extra={"hardware_compatibility_level": config._hardware(), "tactic_sources": config._tactic_sources()},
        )  # fmt: skip

    def _completed(self, network: Any, profile: Any) -> dict[str, Triple]:
        """Return the ranges of all inputs by the model's names; those of static ones need not be given."""
        ranges: dict[str, Triple] = {}
        for one in network._inputs:
            known = profile._values if one._info.on_host else profile._ranges
            ranges[one._info.source] = known.get(one._name, (one._info.shape,) * 3)
        return ranges

    def _report_progress(self, config: Any) -> bool:
        """Tell the monitor, if there is one; return whether it lets the build go on."""
        monitor = config.progress_monitor if hasattr(type(config), "progress_monitor") else None
        if monitor is None:
            return True
        try:
            monitor.phase_start("Building Engine", None, 1)
            monitor.phase_start("Tactic Optimization", "Building Engine", _STEPS)
            going = all(monitor.step_complete("Tactic Optimization", step) for step in range(_STEPS))
            monitor.phase_finish("Tactic Optimization")
            monitor.phase_finish("Building Engine")
        except BaseException as error:  # noqa: BLE001 - TensorRT's binding lets none through, not even Ctrl-C
            log(self._trt, self._logger, "ERROR", f"Exception caught in a progress monitor: {error!r}")
            return False
        return going


BUILD: dict[str, type] = NETWORK | {
    "Builder": Builder, "IBuilderConfig": BuilderConfig, "IOptimizationProfile": OptimizationProfile,
    "ITimingCache": TimingCache,
}  # fmt: skip
