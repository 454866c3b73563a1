"""BuildOptions: all options of a build, checked before anything is built."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from onepass._errors import InputError
from onepass.artifacts import path_tuple
from onepass.builder.interface import IoFormats, PictureInput, io_formats, picture_texts
from onepass.engine.flavor import PRECISIONS
from onepass.engine.shapes import Numbers, ShapeRange
from onepass.tensors import name_tuple

BEST = "best"
"""fp16, plus int8 if the model has QuantizeLinear and DequantizeLinear nodes; the name is trtexec's."""

HardwareLevel: TypeAlias = Literal["ampere_plus", "same_compute_capability"]
Range: TypeAlias = ShapeRange | int | Sequence[int] | Sequence[Sequence[int]]
"""A range as users write it: one size or shape, or (min, opt, max)."""
Ranges: TypeAlias = Mapping[str, Range]


def told(
    text: str, *, unit: str = "", limits: tuple[int, int] | None = None, decides_engine: bool = True
) -> dict[str, Any]:
    """Return the metadata of a `BuildOptions` field, from which the command line, checks and cache take what they need.

    A field without metadata has no limits and decides the engine; the command line describes it itself.

    Args:
        text: Help text in one line; the command line derives the option from it and from the field's type.
        unit: Placeholder of the value in the help: ``"FILE"``, ``"NAME"``.
        limits: Smallest and greatest allowed number.
        decides_engine: Whether the option affects the engine, so that it is part of the cache key.
    """
    return {"text": text, "unit": unit, "limits": limits, "decides_engine": decides_engine}


@dataclass(frozen=True)
class BuildOptions:
    """What an engine is built for, and how.

    Attributes:
        shapes: For each profile, input name to shape range. Inputs with a fixed shape need none.
        batch: Range of the first dimension of every input where this dimension is dynamic.
        sizes: Dimension name to range, for every input with this dynamic dimension.
        values: Input name to value range, for shape tensors: inputs whose values determine other tensors' shapes.
        precision: Reduced precisions that layers may use; an empty tuple means float32. ``"int8"`` and ``"fp8"`` need a
            model with QuantizeLinear and DequantizeLinear nodes; ``"best"`` is float16, plus int8 if the model has such
            nodes.
        keep_float32: Names of nodes or tensors that are computed in float32 nevertheless.
        reduced_io: Whether float32 inputs and outputs become float16 (bfloat16), too, also in the signature.
        tf32: Whether float32 matrix products may use TF32, with 10-bit mantissas (TensorRT's default).
        workspace_bytes: Scratch memory that a layer may use; None is TensorRT's default (all GPU memory).
        optimization_level: 0 (fastest build) … 5 (fastest engine); None is TensorRT's default, 3.
        hardware_compatible: Make the engine run on more GPUs than the one that it is built on.
        version_compatible: Whether later versions of TensorRT can run the engine.
        strip: Whether to omit weights that are in the ONNX file; refitting puts them back.
        refit: Whether the engine's weights can be replaced later.
        timing_cache: File in which kernel timings are kept for later builds.
        tactic_sources: Names of the libraries that kernels may come from; None is TensorRT's default.
        outputs: Outputs to build, in this order; inner tensors are allowed. None builds the model's outputs.
        mark_all_outputs: Whether every inner tensor becomes an output, too.
        target_sm: Compute capabilities to build for, such as ``"8.9"``, instead of the GPU in this machine.
        plugins: Libraries with the plugins that the model needs; running the engine needs them, too.
        picture_inputs: Input name to the conversion from uint8 pictures [N, H, W, C]: a `PictureInput`, or its text.
        input_io_formats: Types of inputs, such as ``"fp16"``: by name, or one per input in the model's order.
        output_io_formats: Types of outputs, likewise.
        sparsity: Whether kernels may skip zero weights in the 2:4 pattern that GPUs support.
        dla: Number of the deep-learning accelerator (Jetson) to build for.
        gpu_fallback: Whether layers that the accelerator does not support may run on the GPU.
    """

    shapes: Ranges | Sequence[Ranges] = ()
    batch: Range | None = None
    sizes: Ranges = field(default_factory=dict)
    values: Ranges = field(default_factory=dict)
    precision: str | Sequence[str] = ()
    keep_float32: str | Sequence[str] = field(
        default=(), metadata=told("Compute this node, tensor or output in float32.", unit="NAME")
    )
    reduced_io: bool = field(default=False, metadata=told("Make float32 inputs and outputs float16 (bfloat16), too."))
    tf32: bool = field(default=False, metadata=told("Allow TF32 (10-bit mantissas) in float32 products."))
    workspace_bytes: int | None = None
    optimization_level: int | None = field(
        default=None, metadata=told("0: fastest build; 5: fastest engine.", unit="0..5", limits=(0, 5))
    )
    hardware_compatible: HardwareLevel | None = field(
        default=None, metadata=told("Support more GPUs than this machine's.")
    )
    version_compatible: bool = field(default=False, metadata=told("Support later versions of TensorRT, too."))
    strip: bool = field(default=False, metadata=told("Omit the weights; refitting puts them back."))
    refit: bool = field(default=False, metadata=told("Allow the weights to be replaced later."))
    timing_cache: Path | None = field(
        default=None,
        metadata=told("Keep kernel timings in this file for later builds.", unit="FILE", decides_engine=False),
    )
    tactic_sources: str | Sequence[str] | None = None
    outputs: str | Sequence[str] | None = field(
        default=None, metadata=told("Build only this output or inner tensor; repeat for more.", unit="NAME")
    )
    mark_all_outputs: bool = field(default=False, metadata=told("Make every inner tensor an output."))
    target_sm: str | Sequence[str] = field(
        default=(), metadata=told("Build for this compute capability, such as 8.9.", unit="SM")
    )
    plugins: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = field(
        default=(), metadata=told("Load plugins from this library; repeat for more.", unit="FILE")
    )
    picture_inputs: Mapping[str, PictureInput | str] = field(default_factory=dict)
    input_io_formats: IoFormats = ()
    output_io_formats: IoFormats = ()
    sparsity: bool = field(default=False, metadata=told("Let kernels skip zero weights in a 2:4 pattern."))
    dla: int | None = field(
        default=None, metadata=told("Build for this deep-learning accelerator (Jetson).", unit="CORE", limits=(0, 7))
    )
    gpu_fallback: bool = field(default=False, metadata=told("Run unsupported layers on the GPU."))

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "precision", _precisions(self.precision))
        put(self, "shapes", self.profiles)
        put(self, "keep_float32", name_tuple(self.keep_float32))
        put(self, "target_sm", tuple(_compute_capability(each) for each in name_tuple(self.target_sm)))
        if self.outputs is not None:
            put(self, "outputs", tuple(dict.fromkeys(name_tuple(self.outputs))))
        if self.tactic_sources is not None:
            put(self, "tactic_sources", tuple(each.upper() for each in name_tuple(self.tactic_sources)))
        put(self, "picture_inputs", picture_texts(self.picture_inputs))
        for name in ("input_io_formats", "output_io_formats"):
            put(self, name, io_formats(getattr(self, name), name))
        put(self, "plugins", path_tuple(self.plugins, what="plugins"))
        if self.timing_cache is not None:
            put(self, "timing_cache", Path(self.timing_cache))
        self._check()
        self._check_accelerator()

    def _check_accelerator(self) -> None:
        if self.gpu_fallback and self.dla is None:
            raise InputError("gpu_fallback requires an accelerator; choose one with dla")
        if self.dla is not None and {"fp16", "int8", BEST}.isdisjoint(self.precision):
            raise InputError("dla: the accelerator supports only precision fp16 and int8; choose one of them")

    def _check(self) -> None:
        if self.workspace_bytes is not None and not 0 < self.workspace_bytes < 1 << 63:
            raise InputError(f"workspace_bytes must be greater than 0, got {self.workspace_bytes}")
        for each in fields(self):
            value, limits = getattr(self, each.name), each.metadata.get("limits")
            if limits and value is not None and value not in range(limits[0], limits[1] + 1):
                raise InputError(f"{each.name} must be from {limits[0]} to {limits[1]}, got {value}")
        if self.hardware_compatible not in (None, *get_args(HardwareLevel)):
            levels = " or ".join(get_args(HardwareLevel))
            raise InputError(f"hardware_compatible must be {levels}, got {self.hardware_compatible!r}")
        if self.reduced_io and self.reduced_type is None:
            raise InputError("reduced_io requires precision fp16 or bf16")
        if self.keep_float32 and self.reduced_type is None:
            raise InputError("keep_float32 requires precision fp16 or bf16")
        if {"fp16", "bf16"} <= set(self.precision):
            raise InputError("precision fp16 and bf16 cannot be combined; choose one")
        if self.outputs is not None and not self.outputs:
            raise InputError(
                "outputs is empty, but an engine needs an output; omit it to build all of the model's outputs"
            )

    @property
    def profiles(self) -> tuple[Ranges, ...]:
        """The ranges of `shapes`, one mapping per profile."""
        return (self.shapes,) if isinstance(self.shapes, Mapping) else tuple(self.shapes)

    @property
    def reduced_type(self) -> Literal["fp16", "bf16"] | None:
        """The floating-point type that layers may use instead of float32, if any."""
        return "fp16" if not {"fp16", BEST}.isdisjoint(self.precision) else "bf16" if "bf16" in self.precision else None

    @property
    def quantized(self) -> bool:
        """Whether the model's quantised layers compute in int8 or float8."""
        return not {"int8", "fp8"}.isdisjoint(self.precision)

    def to_json(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, as plain JSON values."""
        default = type(self)()
        return {
            each.name: _plain(getattr(self, each.name))
            for each in fields(self)
            if getattr(self, each.name) != getattr(default, each.name)
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BuildOptions:
        """Read what `to_json` wrote.

        Raises:
            InputError: It contains an unknown option.
        """
        unknown = sorted(set(data) - {each.name for each in fields(cls)})
        if unknown:
            raise InputError(f"unknown build option {unknown[0]}; it may need a later version of onepass")
        return cls(**data)

    def key_json(self) -> dict[str, Any]:
        """Return the part of `to_json` that affects the engine."""
        kept = {each.name for each in fields(self) if each.metadata.get("decides_engine", True)}
        return {name: value for name, value in self.to_json().items() if name in kept}


def _precisions(value: str | Iterable[str]) -> tuple[str, ...]:
    names = [name.lower() for name in name_tuple(value)]
    if BEST in names:
        if len(names) > 1:
            raise InputError(f"precision {BEST} already includes all that the model supports; omit the others")
        return (BEST,)
    for name in names:
        if name not in ("fp32", *PRECISIONS):
            raise InputError(f"unknown precision {name!r}; expected fp32, {', '.join(PRECISIONS)} or {BEST}")
    return tuple(name for name in PRECISIONS if name in names)


def _compute_capability(text: str) -> str:
    """Return ``"8.9"`` for ``"8.9"``, ``"89"``, ``"sm89"`` and ``"SM_89"``."""
    found = re.fullmatch(r"(?:sm_?)?(\d{1,2})\.?(\d)", text.strip(), re.IGNORECASE)
    if found is None:
        raise InputError(f"invalid compute capability {text!r}; expected a value such as 8.9 or sm89")
    return f"{found[1]}.{found[2]}"


def _plain(value: Any) -> Any:
    if isinstance(value, ShapeRange):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


# ---- shapes as people write them -----------------------------------------------------------------------------------

_SIZES = r"\d+(?:x\d+)*"
_RANGE = rf"{_SIZES}(?::{_SIZES}:{_SIZES})?"
_NAMED = re.compile(rf"(?P<name>.+)=(?P<range>{_RANGE})|(?P<name2>[^=]+?):(?P<range2>{_RANGE})")
_FRACTION = re.compile(r"(?P<name>.+)=(?P<range>[-\d.x:]*\d\.\d[-\d.x:]*)")


def fractions_of(name: str, given: object) -> str:
    """Return the message for fractional values of a shape tensor, which no TensorRT supports."""
    return (
        f"input {name!r}: {given} has fractions, but TensorRT supports only integers for inputs whose values determine "
        "shapes. Instead of scales, let the model take sizes (the fourth input of Resize), or make the scales constant"
    )


def parse_range(text: str) -> ShapeRange:
    """Read ``1:8:64``, ``1x1x36x60:8x1x36x60:64x1x36x60``, or a single size or shape if all three are the same.

    Raises:
        InputError: The text has another form, or min, opt and max are not in ascending order.
    """
    if not re.fullmatch(_RANGE, text):
        raise InputError(f"invalid shape range {text!r}; expected a shape such as 8x1x36x60, or min:opt:max")
    shapes: list[Numbers] = [tuple(map(int, part.split("x"))) for part in text.split(":")]
    return ShapeRange(*(shapes if len(shapes) == 3 else shapes * 3))


def parse_shapes(text: str) -> dict[str, ShapeRange]:
    """Read ``eye=1x1x36x60:8x1x36x60:64x1x36x60,scale=1:1:1``: a range for each input.

    trtexec's form ``eye:8x1x36x60`` is accepted, too. A name may contain colons (``x:0``) if ``=`` follows it.

    Raises:
        InputError: The text has another form, or names an input twice.
    """
    ranges: dict[str, ShapeRange] = {}
    for part in text.split(","):
        found = _NAMED.fullmatch(part.strip())
        fraction = _FRACTION.fullmatch(part.strip())
        if fraction is not None:
            raise InputError(fractions_of(fraction["name"], fraction["range"]))
        if found is None:
            raise InputError(f"invalid range {part!r}; expected NAME=MIN:OPT:MAX, such as x=1x36x60:8x36x60:64x36x60")
        name = found["name"] or found["name2"]
        if name in ranges:
            raise InputError(f"the shapes of {name!r} are given twice in {text!r}")
        ranges[name] = parse_range(found["range"] or found["range2"])
    return ranges
