"""An open engine on a GPU: deserialised, with its tensors matched to the model's, and its profiles read.

If TensorRT signals a failure by None or False, it becomes an exception that contains TensorRT's log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onepass._errors import (
    BackendError,
    DeviceError,
    EngineDeviceError,
    EngineError,
    EngineMismatchError,
    EngineVersionError,
    InputError,
    ModelFormatError,
    UnsupportedModelError,
)
from onepass._packages import tensorrt_command_here
from onepass.engine.dtypes import dtype_from_tensorrt
from onepass.engine.flavor import Flavor, find_flavor
from onepass.engine.log import get_logger
from onepass.engine.plan import Edge, Plan, read_sidecar
from onepass.engine.plugins import check_plugins, load_plugins, missing_in_engine
from onepass.engine.shapes import Profile, ShapeRange
from onepass.runtime.cuda.device import Device
from onepass.tensors import TensorSpec

# Words in TensorRT's log when it rejects an engine, in all versions, by reason.
_VERSION_WORDS = ("version tag does not match", "not compatible with this version", "library version", "stdversionread")
_DEVICE_WORDS = ("incompatible device", "compute capability", "different device", "platform")
# TensorRT's description of NumPy's memory layout.
_AS_USUAL = "(kLINEAR)"
# TensorRT's message for an engine with an unregistered plugin.
_NO_PLUGIN = re.compile(r"(?:not find|Cannot find) plugin:? (?P<name>[^\s,]+),? version:? (?P<version>[^\s,)]+)")
# Layer names for an If (by TensorRT's parser), and for loops and conditions (by TensorRT itself).
_CONTROL_FLOW = re.compile(r"_OutputLayer\b|\[(?:Loop|Condition|Recurrence|TripLimit|Iterator)\w*\]")


class Engine:
    """A deserialised engine.

    Attributes:
        name: Name of the engine in messages.
        plan: The plan from its sidecar; None if it has none.
        flavor: The TensorRT that runs the engine.
        device: The GPU.
        inputs: One edge per input, in the model's order if there is a sidecar, otherwise in the engine's.
        outputs: Likewise.
        host_tensors: The engine's tensors in host memory: those whose values are shapes.
        profiles: Optimisation profiles.
        control_flow: Whether the engine is known to have branches or loops.
        shares_profiles: Whether several contexts may use one profile, as in TensorRT 8.6 and later; `Lanes` finds out.
        book: TensorRT's log.
    """

    def __init__(
        self,
        model: Path | bytes | Plan,
        *,
        name: str,
        device: Device,
        flavor: str | None = None,
        plugins: Sequence[str] = (),
        weights: str | None = None,
        weight_streaming_bytes: int | None = None,
    ) -> None:
        """Open an engine; see `onepass.load` for arguments and errors."""
        self.name = name
        self.device = device
        self.plan = _plan_of(model)
        self.flavor = find_flavor(flavor or (self.plan.flavor if self.plan else None))
        _check_supported(self.flavor, device)
        if self.plan is not None:
            _check_made_for(self.plan, self.flavor, device, name)
        logger = get_logger(self.flavor)
        self.book = logger.book
        data = self.plan.engine_bytes() if self.plan is not None else _bytes_of(model)
        with device.current():
            self._runtime = self.flavor.module.Runtime(logger)
            is_portable = self.plan is not None and bool(self.plan.options.get("version_compatible"))
            if is_portable and hasattr(self._runtime, "engine_host_code_allowed"):
                # Such an engine may contain its own runtime; `onepass.load` documents that engines are code.
                self._runtime.engine_host_code_allowed = True
            load_plugins(self.flavor, plugins)
            if self.plan is not None and self.plan.options.get("dla") is not None:
                self._runtime.DLA_core = self.plan.options["dla"]
            if self.plan is not None:
                check_plugins(
                    self.flavor, self.plan.plugins, name=name, built_with=self.plan.options.get("plugins", ())
                )
            self.raw = self._deserialized(data)
            self._take_weights(weights)
        self.streams_weights = self._stream_weights(weight_streaming_bytes)
        tensors = self._tensors()
        self.host_tensors = frozenset(
            name for name in tensors if self.raw.get_tensor_location(name) == self.flavor.module.TensorLocation.HOST
        )
        self.inputs, self.outputs = self._edges(tensors)
        self.profiles = self.plan.profiles if self.plan is not None else self._profiles()
        self.control_flow = self.plan.control_flow if self.plan is not None else self._names_control_flow()
        self.shares_profiles = False

    @property
    def scratch_bytes(self) -> int:
        """GPU memory that one pass needs while it computes."""
        if hasattr(self.raw, "device_memory_size_v2"):
            return int(self.raw.device_memory_size_v2)
        return int(self.raw.device_memory_size)

    def new_context(self, scratch: int) -> Any:
        """Return a new execution context that computes in the scratch memory at an address (`scratch_bytes` long).

        Raises:
            BackendError: TensorRT cannot create a context, for example because memory is short.
        """
        mark = self.book.mark()
        context = self.flavor.context_without_memory(self.raw)
        if context is None:
            raise BackendError(f"TensorRT cannot create an execution context for {self.name}:\n{self.book.text(mark)}")
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(scratch, self.scratch_bytes)
        else:
            context.device_memory = scratch
        return context

    def gives_profile(self, scratch: int) -> bool:
        """Whether a new context gets profile 0 although another context uses it.

        A context is created to find out: requesting a profile in use crashes TensorRT 8.5.
        """
        context = self.new_context(scratch)
        return int(context.active_optimization_profile) == 0

    def close(self) -> None:
        """Free the engine; its contexts must be gone."""
        with self.device.current():
            del self.raw
            del self._runtime

    def _deserialized(self, data: bytes) -> Any:
        mark = self.book.mark()
        engine = self._runtime.deserialize_cuda_engine(data)
        if engine is not None:
            return engine
        log = self.book.text(mark)
        words = log.lower()
        if any(each in words for each in _VERSION_WORDS):
            raise EngineVersionError(
                f"{self.name} was built by another version of TensorRT than the installed {self.flavor}; build it "
                f"again from its ONNX file, or install the version that built it. TensorRT says:\n{log}"
            )
        missing = _NO_PLUGIN.search(log)
        if missing:
            plugin = f"{missing['name']}, version {missing['version']}"
            raise EngineError(f"{missing_in_engine(self.flavor, self.name, plugin)}. TensorRT says:\n{log}")
        if any(each in words for each in _DEVICE_WORDS):
            raise EngineDeviceError(
                f"{self.name} was built for another GPU than this {self.device.name} (compute capability "
                f"{self.device.compute_capability}); build it again on this GPU. TensorRT says:\n{log}"
            )
        raise ModelFormatError(
            f"{self.flavor} cannot read {self.name}: the engine is damaged, truncated, or not for this TensorRT. "
            f"Copy it or build it again. TensorRT says:\n{log or '(nothing)'}"
        )

    def _take_weights(self, model: str | None) -> None:
        """Put a model's weights into the engine, if they are given; a stripped engine requires them."""
        if model is None:
            if self.plan is not None and self.plan.options.get("strip"):
                raise EngineError(
                    f"{self.name} was built without its weights (strip); give the model that has them: "
                    "weights='model.onnx', or put them in permanently with onepass.engine.refit"
                )
            return
        if self.plan is None:
            raise InputError(
                f"weights= requires an engine with a sidecar, which holds the build options; {self.name} has none"
            )
        from onepass.engine import put_weights  # noqa: PLC0415 - imports the builder and ONNX

        put_weights(self.flavor, self.raw, self.plan, model, name=self.name)

    def _stream_weights(self, budget: int | None) -> bool:
        if budget is None:
            return False
        for attribute in ("weight_streaming_budget_v2", "weight_streaming_budget"):
            if hasattr(self.raw, attribute):
                mark = self.book.mark()
                setattr(self.raw, attribute, budget)
                if getattr(self.raw, attribute) != budget:
                    raise BackendError(
                        f"TensorRT cannot stream the weights of {self.name} within {budget:,} bytes; the engine must "
                        f"be built with weight streaming:\n{self.book.text(mark)}"
                    )
                return True
        raise UnsupportedModelError(f"{self.flavor} does not support weight streaming; omit weight_streaming_bytes=")

    def _tensors(self) -> dict[str, Any]:
        """Return the engine's tensors in the engine's order, each with its mode."""
        names = [self.raw.get_tensor_name(index) for index in range(self.raw.num_io_tensors)]
        if hasattr(self.raw, "get_aliased_input_tensor"):
            for name in names:
                if self.raw.get_aliased_input_tensor(name):
                    raise UnsupportedModelError(
                        f"{self.name} writes its output {name!r} over an input, which onepass does not support, "
                        "because inputs belong to the caller. Build the engine without it (a KV-cache update, for "
                        "example)"
                    )
        for name in names:
            # The description, because the lean and dispatch runtimes lack the enumeration of formats.
            layout = str(self.raw.get_tensor_format_desc(name))
            if "(k" in layout and _AS_USUAL not in layout:
                raise UnsupportedModelError(
                    f"{self.name} has tensor {name!r} in the layout {layout}; onepass supports only linear layouts. "
                    "Build the engine without a format for it (trtexec's inputIOFormats, outputIOFormats: chw)"
                )
        return {name: self.raw.get_tensor_mode(name) for name in names}

    def _edges(self, tensors: Mapping[str, Any]) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
        inputs = [n for n, mode in tensors.items() if mode == self.flavor.module.TensorIOMode.INPUT]
        outputs = [n for n in tensors if n not in inputs]
        if self.plan is None:
            return tuple(map(self._edge, inputs)), tuple(map(self._edge, outputs))
        for kind, edges, there in (("input", self.plan.inputs, inputs), ("output", self.plan.outputs, outputs)):
            if sorted(edge.tensor for edge in edges) != sorted(there):
                raise EngineMismatchError(
                    f"{self.name} has the {kind}s {', '.join(there) or 'none'}, but its sidecar lists "
                    f"{', '.join(edge.tensor for edge in edges) or 'none'}; the two files do not match"
                )
            for edge in edges:
                dtype = dtype_from_tensorrt(self.raw.get_tensor_dtype(edge.tensor), tensor=edge.tensor)
                if dtype != edge.carrier:
                    raise EngineMismatchError(
                        f"{self.name}: {kind} {edge.tensor!r} is {dtype}, but {edge.carrier} in its sidecar; the two "
                        "files do not match"
                    )
        self._check_sizes(self.plan)
        return self.plan.inputs, self.plan.outputs

    def _check_sizes(self, plan: Plan) -> None:
        """Compare the sidecar's input sizes and profiles with the engine's own."""
        for edge in plan.inputs:
            there, shape = tuple(self.raw.get_tensor_shape(edge.tensor)), edge.spec.shape
            pairs = zip(there, shape, strict=False) if shape is not None else ()
            differ = any(isinstance(size, int) and size not in (own, -1) and own >= 0 for own, size in pairs)
            if differ or (shape is not None and len(there) != len(shape)):
                raise EngineMismatchError(
                    f"{self.name}: input {edge.tensor!r} is {list(there)}, but {edge.spec} in its sidecar; the two "
                    "files do not match"
                )
            if -1 not in there or edge.tensor in self.host_tensors:
                continue
            for index, profile in enumerate(plan.profiles):
                told = profile.shapes.get(edge.spec.name)
                own = [tuple(each) for each in self.raw.get_tensor_profile_shape(edge.tensor, index)]
                if told is None or [*own[:1], *own[2:]] != [tuple(told.min), tuple(told.max)]:
                    raise EngineMismatchError(
                        f"{self.name}: input {edge.tensor!r} was built for {own or 'no such profile'}, but its sidecar "
                        f"has {told} (profile {index}); the two files do not match"
                    )

    def _edge(self, tensor: str) -> Edge:
        dtype = dtype_from_tensorrt(self.raw.get_tensor_dtype(tensor), tensor=tensor)
        shape = tuple(None if size < 0 else int(size) for size in self.raw.get_tensor_shape(tensor))
        return Edge(TensorSpec(tensor, dtype, shape), tensor, dtype)

    def _names_control_flow(self) -> bool:
        """Whether an engine without a sidecar has layers with TensorRT's names for branches and loops."""
        if not self.flavor.can_inspect:
            return False
        inspector = self.raw.create_engine_inspector()
        text = inspector.get_engine_information(self.flavor.module.LayerInformationFormat.ONELINE)
        return _CONTROL_FLOW.search(text) is not None

    def _profiles(self) -> tuple[Profile, ...]:
        """Read the profiles from the engine; TensorRT itself checks value ranges."""
        profiles = []
        for index in range(self.raw.num_optimization_profiles):
            shapes = {
                edge.spec.name: ShapeRange(*(tuple(s) for s in self.raw.get_tensor_profile_shape(edge.tensor, index)))
                for edge in self.inputs
                if edge.tensor not in self.host_tensors
            }
            profiles.append(Profile(shapes))
        return tuple(profiles)


def _plan_of(model: Path | bytes | Plan) -> Plan | None:
    if isinstance(model, Plan):
        return model
    return None if isinstance(model, bytes) else read_sidecar(model)


def _bytes_of(model: Path | bytes | Plan) -> bytes:
    if isinstance(model, Path):
        return model.read_bytes()
    return model.engine_bytes() if isinstance(model, Plan) else model


def _check_supported(flavor: Flavor, device: Device) -> None:
    """Check the GPU against the list of supported ones, which some flavours have."""
    named = [name[2:] for name in flavor.members("ComputeCapability") if name.startswith("SM") and name[2:].isdigit()]
    supported = [f"{each[:-1]}.{each[-1]}" for each in named]
    if supported and device.compute_capability not in supported:
        raise DeviceError(
            f"{flavor} supports GPUs with compute capability {', '.join(supported)}; this {device.name} has "
            f"{device.compute_capability}. Build and run the engine with full TensorRT: {tensorrt_command_here()}"
        )


def _check_made_for(plan: Plan, flavor: Flavor, device: Device, name: str) -> None:
    """Reject, based on the sidecar, engines that TensorRT would reject after reading them."""
    made_by, here = plan.version.split(".")[:3], flavor.version.split(".")[:3]
    portable = bool(plan.options.get("version_compatible"))
    if made_by != here and not (portable and made_by[0] == here[0]):
        raise EngineVersionError(
            f"{name} was built by {plan.flavor} {plan.version}, but {flavor} is installed; engines run only in the "
            "version that built them. Build it again from its ONNX file, or install that version"
        )
    if plan.compute_capability not in (None, device.compute_capability) and not plan.options.get("hardware_compatible"):
        raise EngineDeviceError(
            f"{name} was built for compute capability {plan.compute_capability} ({plan.gpu or 'unknown GPU'}), but "
            f"this {device.name} has {device.compute_capability}; build it again on this GPU"
        )
