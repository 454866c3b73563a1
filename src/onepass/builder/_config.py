"""BuildOptions onto TensorRT's builder configuration; what a flavour does not have is refused, never left out."""

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

# Which TensorRT has a feature, for the message where this one has not.
_WHO = {
    "bf16": "TensorRT 9 and later",
    "fp8": "TensorRT 8.6 and later",
    "optimization_level": "TensorRT 8.6 and later, and TensorRT-RTX",
    "hardware_compatible": "TensorRT 8.6 and later (same_compute_capability: 10.9 and later)",
    "version_compatible": "TensorRT 8.6 and later",
    "strip": "TensorRT 10 and later, and TensorRT-RTX",
    "refit": "every TensorRT that builds",
    "timing_cache": "TensorRT (not TensorRT-RTX, which compiles when it runs)",
    "tactic_sources": "every TensorRT that builds",
    "sparsity": "every full TensorRT",
    "dla": "full TensorRT, on a Jetson",
    "gpu_fallback": "full TensorRT, on a Jetson",
    "target_sm": "TensorRT-RTX",
}
# What an option takes of TensorRT.
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
# Names that are there and do nothing, or do not work: TensorRT-RTX says so in its log, not in its interface.
_INERT = {
    "tensorrt_rtx": frozenset({"timing_cache", "hardware_compatible", "version_compatible", "dla", "gpu_fallback"})
}


def check_options(flavor: Flavor, options: BuildOptions, model: onnx.ModelProto) -> None:
    """Refuse options that a flavour does not have, before anything is built.

    Raises:
        InputError: The flavour lacks an option; the message says which has it.
        UnsupportedModelError: int8 or fp8 is asked for, and the model has no quantised nodes.
    """
    inert = _INERT.get(flavor.name, frozenset())
    for name, there in _needs(flavor, options):
        if not there or name in inert:
            raise InputError(f"{flavor} has no option {name}; {_WHO[name]} has it")
    _check_members(flavor, "target_sm", [_sm(each) for each in options.target_sm], "ComputeCapability")
    _check_members(flavor, "tactic_sources", name_tuple(options.tactic_sources or ()), "TacticSource")
    for kind in {"int8", "fp8"} & set(options.precision):
        if not is_quantized(model.graph):
            raise UnsupportedModelError(
                f"precision {kind} is asked for, but the model has no QuantizeLinear and DequantizeLinear nodes; "
                "TensorRT takes the scales from them. Quantise the model first"
            )


def _needs(flavor: Flavor, options: BuildOptions) -> Iterator[tuple[str, bool]]:
    """Name each option that is used, and whether the flavour has what it takes."""
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
            raise InputError(f"{option}: {flavor} has no {name}; it has {', '.join(known) or 'none'}")


def _sm(capability: str) -> str:
    return "SM" + capability.replace(".", "")


def configure(flavor: Flavor, builder: Any, options: BuildOptions, *, held: frozenset[str] = frozenset()) -> Any:
    """Return a builder configuration with everything set but profiles and timing cache.

    Args:
        flavor: The TensorRT.
        builder: Its builder.
        options: What is asked for.
        held: Reduced types that the network has by itself. They need their flags too, and then its other layers, which
            are told to stay float32, must.
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
        # Layers that are told to stay float32 must; without this flag it is a wish.
        _set_flag(flavor, config, "OBEY_PRECISION_CONSTRAINTS", wanted=True)
    _aim(flavor, config, options)
    if options.dla is not None:
        _use_accelerator(flavor, builder, config, options.dla)
    # Layers and their types stay readable in the engine: that is how the precision is proved.
    config.profiling_verbosity = flavor.member("ProfilingVerbosity", "DETAILED")
    return config


def _aim(flavor: Flavor, config: Any, options: BuildOptions) -> None:
    """Set how hard to try, with which kernels, and for which GPUs."""
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.hardware_compatible is not None:
        level = flavor.member("HardwareCompatibilityLevel", options.hardware_compatible.upper())
        config.hardware_compatibility_level = level
    if options.tactic_sources is not None:
        members = [flavor.member("TacticSource", name) for name in name_tuple(options.tactic_sources)]
        if not config.set_tactic_sources(sum(1 << int(member) for member in members)):
            raise BuildError(f"{flavor} refused the tactic sources {', '.join(options.tactic_sources)}")
    if options.target_sm:
        config.num_compute_capabilities = len(options.target_sm)
        for index, each in enumerate(options.target_sm):
            config.set_compute_capability(flavor.member("ComputeCapability", _sm(each)), index)


def _use_accelerator(flavor: Flavor, builder: Any, config: Any, core: int) -> None:
    if core >= builder.num_DLA_cores:
        there = f"{builder.num_DLA_cores} of them" if builder.num_DLA_cores else "none"
        raise InputError(f"dla is {core}: this machine has {there}, as {flavor} sees it")
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
    """Add the optimisation profiles; the names in them are the model's.

    Raises:
        InputError: An input whose values shape other tensors has no range of values.
        BuildError: TensorRT refuses a profile.
    """
    tensors = {network.get_input(index).name: network.get_input(index) for index in range(network.num_inputs)}
    for number, profile in enumerate(profiles):
        made, used = builder.create_optimization_profile(), False
        for edge in inputs:
            name, shapes = edge.spec.name, profile.shapes[edge.spec.name]
            if tensors[edge.tensor].is_shape_tensor:
                if name not in profile.values:
                    raise InputError(
                        f"the values of input {name!r} ({edge.spec}) shape other tensors, so {flavor} has to know "
                        f"their least, best and greatest: such as values={{{name!r}: (1, 2, 8)}}"
                    )
                values = profile.values[name]
                made.set_shape_input(edge.tensor, values.min, values.opt, values.max)
                used = True
            if -1 in tuple(tensors[edge.tensor].shape):
                made.set_shape(edge.tensor, shapes.min, shapes.opt, shapes.max)
                used = True
        if used and config.add_optimization_profile(made) < 0:
            raise BuildError(f"{flavor} refused profile {number}: {profile.shapes}")


@contextmanager
def timing_cache(flavor: Flavor, config: Any, path: Path | None) -> Iterator[None]:
    """Use the measurements in a file, and write them back, with new ones, when the block ends well."""
    if path is None:
        yield
        return
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if not config.set_timing_cache(cache, False):
        raise BuildError(
            f"{path} is no timing cache that {flavor} can use here; it belongs to another version or GPU. Delete it, "
            "or name another file"
        )
    yield
    with replacing(path) as temporary:
        temporary.write_bytes(config.get_timing_cache().serialize())
