"""Apply BuildOptions to TensorRT's builder configuration; unsupported options are errors, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx

from onepass._errors import BuildError, InputError, UnsupportedModelError
from onepass.artifacts import replacing
from onepass.builder._roles import is_quantized
from onepass.builder.options import BuildOptions
from onepass.engine.flavor import Flavor
from onepass.engine.plan import Edge
from onepass.engine.shapes import Profile
from onepass.tensors import name_tuple

# Which TensorRT supports a feature, for messages.
_WHO = {
    "bf16": "TensorRT 9 and later",
    "fp8": "TensorRT 8.6 and later",
    "optimization_level": "TensorRT 8.6 and later, and TensorRT-RTX",
    "hardware_compatible": "TensorRT 8.6 and later (same_compute_capability: 10.9 and later)",
    "version_compatible": "TensorRT 8.6 and later",
    "strip": "TensorRT 10 and later, and TensorRT-RTX",
    "refit": "every TensorRT that builds",
    "timing_cache": "TensorRT (not TensorRT-RTX, which compiles kernels at run time)",
    "tactic_sources": "every TensorRT that builds",
    "sparsity": "every full TensorRT",
    "dla": "full TensorRT, on a Jetson",
    "gpu_fallback": "full TensorRT, on a Jetson",
    "target_sm": "TensorRT-RTX",
}
# The TensorRT attribute that an option needs.
_TAKES = {
    "optimization_level": ("IBuilderConfig", "builder_optimization_level"),
    "version_compatible": ("BuilderFlag", "VERSION_COMPATIBLE"),
    "strip": ("BuilderFlag", "STRIP_PLAN"),
    "refit": ("BuilderFlag", "REFIT"),
    "timing_cache": ("IBuilderConfig", "create_timing_cache"),
    "sparsity": ("BuilderFlag", "SPARSE_WEIGHTS"),
    "dla": ("IBuilderConfig", "DLA_core"),
    "gpu_fallback": ("BuilderFlag", "GPU_FALLBACK"),
    "target_sm": ("IBuilderConfig", "set_compute_capability"),
}
# Options that exist in the interface but have no effect or do not work; TensorRT-RTX says so only in its log.
_INERT = {
    "tensorrt_rtx": frozenset({"timing_cache", "hardware_compatible", "version_compatible", "dla", "gpu_fallback"})
}


def check_options(flavor: Flavor, options: BuildOptions, model: onnx.ModelProto) -> None:
    """Reject unsupported options before anything is built.

    Raises:
        InputError: The flavour does not support an option; the message says which TensorRT does.
        UnsupportedModelError: int8 or fp8 is requested, but the model has no quantised nodes.
    """
    inert = _INERT.get(flavor.name, frozenset())
    for name, there in _needs(flavor, options):
        if not there or name in inert:
            raise InputError(f"{flavor} does not support {name}; supported by {_WHO[name]}")
    _check_members(flavor, "target_sm", [_sm(each) for each in options.target_sm], "ComputeCapability")
    _check_members(flavor, "tactic_sources", name_tuple(options.tactic_sources or ()), "TacticSource")
    for kind in {"int8", "fp8"} & set(options.precision):
        if not is_quantized(model.graph):
            raise UnsupportedModelError(
                f"precision {kind} requires QuantizeLinear and DequantizeLinear nodes in the model, from which "
                "TensorRT takes the scales; the model has none. Quantise it first"
            )


def _needs(flavor: Flavor, options: BuildOptions) -> Iterator[tuple[str, bool]]:
    """Yield each option in use, and whether the flavour supports it."""
    if flavor.precision_flags:
        for kind in options.precision:
            yield kind, kind in flavor.precision_flags
    if options.hardware_compatible is not None:
        level = options.hardware_compatible.upper()
        yield "hardware_compatible", level in flavor.members("HardwareCompatibilityLevel")
    for name, path in _TAKES.items():
        value = getattr(options, name)
        if value is not None and value is not False and value != ():  # an optimization level, or core, may be 0
            yield name, flavor.has(*path)


def _check_members(flavor: Flavor, option: str, names: Sequence[str], enum: str) -> None:
    known = [name for name in flavor.members(enum) if name not in ("NONE", "CURRENT")]
    for name in names:
        if name not in known:
            raise InputError(f"{option}: {flavor} does not support {name}; supported: {', '.join(known) or 'none'}")


def _sm(capability: str) -> str:
    return "SM" + capability.replace(".", "")


def configure(flavor: Flavor, builder: Any, options: BuildOptions, *, held: frozenset[str] = frozenset()) -> Any:
    """Return a builder configuration with everything set except profiles and timing cache.

    Args:
        flavor: The TensorRT.
        builder: Its builder.
        options: Build options.
        held: Reduced types that the model itself uses. They need their flags, too; the other layers must then be forced
            to stay float32.
    """
    config = builder.create_builder_config()
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(flavor.member("MemoryPoolType", "WORKSPACE"), options.workspace_bytes)
    for name, wanted in (
        ("TF32", options.tf32),
        ("VERSION_COMPATIBLE", options.version_compatible),
        ("STRIP_PLAN", options.strip),
        ("REFIT", options.refit),
        ("SPARSE_WEIGHTS", options.sparsity),
        ("GPU_FALLBACK", options.gpu_fallback),
    ):
        _set_flag(flavor, config, name, wanted=wanted)
    for kind in (*options.precision, *held):
        if kind in flavor.precision_flags:
            _set_flag(flavor, config, kind.upper(), wanted=True)
    if held or options.reduced_type in flavor.precision_flags:
        # Without this flag, the layers' float32 precision is only a preference.
        _set_flag(flavor, config, "OBEY_PRECISION_CONSTRAINTS", wanted=True)
    _aim(flavor, config, options)
    if options.dla is not None:
        _use_accelerator(flavor, builder, config, options.dla)
    # Keeps layers and types readable in the engine, so that the precision can be checked.
    config.profiling_verbosity = flavor.member("ProfilingVerbosity", "DETAILED")
    return config


def _aim(flavor: Flavor, config: Any, options: BuildOptions) -> None:
    """Set optimisation level, kernel sources and target GPUs."""
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.hardware_compatible is not None:
        level = flavor.member("HardwareCompatibilityLevel", options.hardware_compatible.upper())
        config.hardware_compatibility_level = level
    if options.tactic_sources is not None:
        members = [flavor.member("TacticSource", name) for name in name_tuple(options.tactic_sources)]
        if not config.set_tactic_sources(sum(1 << int(member) for member in members)):
            raise BuildError(f"{flavor} rejected the tactic sources {', '.join(options.tactic_sources)}")
    if options.target_sm:
        config.num_compute_capabilities = len(options.target_sm)
        for index, each in enumerate(options.target_sm):
            config.set_compute_capability(flavor.member("ComputeCapability", _sm(each)), index)


def _use_accelerator(flavor: Flavor, builder: Any, config: Any, core: int) -> None:
    if core >= builder.num_DLA_cores:
        raise InputError(f"dla is {core}, but {flavor} finds {builder.num_DLA_cores or 'no'} accelerators here")
    config.default_device_type = flavor.member("DeviceType", "DLA")
    config.DLA_core = core


def _set_flag(flavor: Flavor, config: Any, name: str, *, wanted: bool) -> None:
    flag = flavor.member("BuilderFlag", name)
    if flag is None:
        return
    if wanted:
        config.set_flag(flag)
    else:
        config.clear_flag(flag)


def add_profiles(
    flavor: Flavor, builder: Any, network: Any, config: Any, inputs: Sequence[Edge], profiles: Sequence[Profile]
) -> None:
    """Add the optimisation profiles, whose input names are the model's.

    Raises:
        InputError: A shape tensor has no value range.
        BuildError: TensorRT rejects a profile.
    """
    tensors = {network.get_input(index).name: network.get_input(index) for index in range(network.num_inputs)}
    for number, profile in enumerate(profiles):
        made, used = builder.create_optimization_profile(), False
        for edge in inputs:
            name, shapes = edge.spec.name, profile.shapes[edge.spec.name]
            if tensors[edge.tensor].is_shape_tensor:
                if name not in profile.values:
                    raise InputError(
                        f"the values of input {name!r} ({edge.spec}) determine the shapes of other tensors, so "
                        f"{flavor} needs their (min, opt, max), such as values={{{name!r}: (1, 2, 8)}}"
                    )
                values = profile.values[name]
                made.set_shape_input(edge.tensor, values.min, values.opt, values.max)
                used = True
            if -1 in tuple(tensors[edge.tensor].shape):
                made.set_shape(edge.tensor, shapes.min, shapes.opt, shapes.max)
                used = True
        if used and config.add_optimization_profile(made) < 0:
            raise BuildError(f"{flavor} rejected profile {number}: {profile.shapes}")


@contextmanager
def timing_cache(flavor: Flavor, config: Any, path: Path | None) -> Iterator[None]:
    """Use the kernel timings in a file, and write old and new timings back if the block succeeds."""
    if path is None:
        yield
        return
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if not config.set_timing_cache(cache, False):
        raise BuildError(
            f"{flavor} cannot use the timing cache {path}: it belongs to another version or GPU. Delete it, or choose "
            "another file"
        )
    yield
    with replacing(path) as temporary:
        temporary.write_bytes(config.get_timing_cache().serialize())
