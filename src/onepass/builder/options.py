"""BuildOptions: everything that a build can be told, checked before anything is built."""

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
"""Stands for fp16, and int8 too where the model has QuantizeLinear and DequantizeLinear nodes; trtexec's word."""

HardwareLevel: TypeAlias = Literal["ampere_plus", "same_compute_capability"]
Range: TypeAlias = ShapeRange | int | Sequence[int] | Sequence[Sequence[int]]
"""A range as users write it: one size or shape, or (least, best, greatest)."""
Ranges: TypeAlias = Mapping[str, Range]


def told(
    text: str, *, unit: str = "", limits: tuple[int, int] | None = None, decides_engine: bool = True
) -> dict[str, Any]:
    """Return what a field of `BuildOptions` says of itself; whatever has to know of an option reads it off its field.

    A field of which nothing is told has no limits and decides the engine, and the command line has words of its own
    for it.

    Args:
        text: What it does, in one line: the command line offers the option with it, as the field's type suggests.
        unit: What its value is: ``"FILE"``, ``"NAME"``.
        limits: The least and the greatest number it may be.
        decides_engine: Whether another value gives another engine, so that the cache has to tell them apart.
    """
    return {"text": text, "unit": unit, "limits": limits, "decides_engine": decides_engine}


@dataclass(frozen=True)
class BuildOptions:
    """What an engine is built for, and how.

    Attributes:
        shapes: For each profile, input name to the range of its shape. An input of fixed shape needs none.
        batch: Range of the first dimension of every input where that is dynamic.
        sizes: Range of a dynamic dimension by its name, wherever it occurs.
        values: Input name to a range of its values, for an input whose values shape other tensors.
        precision: Reduced precisions that layers may use; none is float32. ``"int8"`` and ``"fp8"`` need a model with
            QuantizeLinear and DequantizeLinear nodes; ``"best"`` is float16, and int8 where the model has these.
        keep_float32: Names of nodes, or of tensors, that are computed in float32 all the same.
        reduced_io: Whether float32 inputs and outputs become float16 (bfloat16) too. The signature says so then.
        tf32: Whether float32 matrix products may round their factors to ten bits (on by default in TensorRT).
        workspace_bytes: Scratch memory that a layer may take; None leaves it to TensorRT (all there is).
        optimization_level: 0 (built fast) … 5 (runs fast); None is TensorRT's own, 3.
        hardware_compatible: Whether the engine shall run on other GPUs than the one it is built on.
        version_compatible: Whether later versions of TensorRT shall be able to run it.
        strip: Whether to leave the weights out that the ONNX file still has; they are put back by refitting.
        refit: Whether its weights can be replaced later.
        timing_cache: File where measurements of kernels are kept from one build to the next.
        tactic_sources: Names of the libraries that kernels may come from; None leaves it to TensorRT.
        outputs: The outputs to build, in this order; inner tensors may be named. None builds those of the model.
        mark_all_outputs: Whether every inner tensor becomes an output too.
        target_sm: Compute capabilities to build for, ``"8.9"``, where that need not be the GPU at hand.
        plugins: Files of libraries whose plugins the model takes; running the engine needs them too.
        picture_inputs: Input name to how uint8 pictures [N, H, W, C] go into it: a `PictureInput`, or its text.
        input_io_formats: Types of inputs, by name or one each in the model's order: ``"fp16"``.
        output_io_formats: Types of outputs, likewise.
        sparsity: Whether kernels may skip weights that are zero in the pattern that GPUs know (two of four).
        dla: Number of the deep-learning accelerator (Jetson) to build for.
        gpu_fallback: Whether layers that the accelerator lacks may run on the GPU.
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
    tf32: bool = field(default=False, metadata=told("Let float32 products round their factors to ten bits."))
    workspace_bytes: int | None = None
    optimization_level: int | None = field(
        default=None, metadata=told("0 builds fast, 5 runs fast.", unit="0..5", limits=(0, 5))
    )
    hardware_compatible: HardwareLevel | None = field(
        default=None, metadata=told("Run on more GPUs than the one here.")
    )
    version_compatible: bool = field(default=False, metadata=told("Run with later versions of TensorRT, too."))
    strip: bool = field(default=False, metadata=told("Leave out the weights; refitting puts them back."))
    refit: bool = field(default=False, metadata=told("Let the weights be replaced later."))
    timing_cache: Path | None = field(
        default=None,
        metadata=told("Keep measurements of kernels for the next build.", unit="FILE", decides_engine=False),
    )
    tactic_sources: str | Sequence[str] | None = None
    outputs: str | Sequence[str] | None = field(
        default=None, metadata=told("Build this output, or inner tensor, only; repeat for more.", unit="NAME")
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
    sparsity: bool = field(default=False, metadata=told("Let kernels skip weights that are zero two in four."))
    dla: int | None = field(
        default=None, metadata=told("Build for this deep-learning accelerator (Jetson).", unit="CORE", limits=(0, 7))
    )
    gpu_fallback: bool = field(default=False, metadata=told("Run on the GPU what the accelerator lacks."))

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
            raise InputError("gpu_fallback is for an accelerator; say which with dla")
        if self.dla is not None and {"fp16", "int8", BEST}.isdisjoint(self.precision):
            raise InputError("dla: the accelerator computes in fp16 or int8; ask for one of these precisions")

    def _check(self) -> None:
        if self.workspace_bytes is not None and not 0 < self.workspace_bytes < 1 << 63:
            raise InputError(f"workspace_bytes is {self.workspace_bytes}; expected a number of bytes above 0")
        for each in fields(self):
            value, limits = getattr(self, each.name), each.metadata.get("limits")
            if limits and value is not None and value not in range(limits[0], limits[1] + 1):
                raise InputError(f"{each.name} is {value}; expected {limits[0]} to {limits[1]}")
        if self.hardware_compatible not in (None, *get_args(HardwareLevel)):
            raise InputError(
                f"hardware_compatible is {self.hardware_compatible!r}; expected {' or '.join(get_args(HardwareLevel))}"
            )
        if self.reduced_io and self.reduced_type is None:
            raise InputError("reduced_io is for precision fp16 or bf16; neither is asked for")
        if self.keep_float32 and self.reduced_type is None:
            raise InputError("keep_float32 is for precision fp16 or bf16; neither is asked for")
        if {"fp16", "bf16"} <= set(self.precision):
            raise InputError("precision fp16 and bf16 exclude each other; choose one")
        if self.outputs is not None and not self.outputs:
            raise InputError("outputs is empty; an engine needs an output. Leave it out to build all of the model's")

    @property
    def profiles(self) -> tuple[Ranges, ...]:
        """The ranges of `shapes`, one mapping a profile."""
        return (self.shapes,) if isinstance(self.shapes, Mapping) else tuple(self.shapes)

    @property
    def reduced_type(self) -> Literal["fp16", "bf16"] | None:
        """The floating-point type that layers may use in place of float32, if any."""
        return "fp16" if not {"fp16", BEST}.isdisjoint(self.precision) else "bf16" if "bf16" in self.precision else None

    @property
    def quantized(self) -> bool:
        """Whether layers that the model quantises are to be computed so."""
        return not {"int8", "fp8"}.isdisjoint(self.precision)

    def to_json(self) -> dict[str, Any]:
        """Return the options that are not at their default, as plain JSON values."""
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
            InputError: It has an option that is not known here.
        """
        unknown = sorted(set(data) - {each.name for each in fields(cls)})
        if unknown:
            raise InputError(f"{unknown[0]} is no option of a build that this onepass knows; update it")
        return cls(**data)

    def key_json(self) -> dict[str, Any]:
        """Return those of `to_json` that another engine would come of."""
        kept = {each.name for each in fields(self) if each.metadata.get("decides_engine", True)}
        return {name: value for name, value in self.to_json().items() if name in kept}


def _precisions(value: str | Iterable[str]) -> tuple[str, ...]:
    names = [name.lower() for name in name_tuple(value)]
    if BEST in names:
        if len(names) > 1:
            raise InputError(f"precision {BEST} stands for all that the model has; leave the others out")
        return (BEST,)
    for name in names:
        if name not in ("fp32", *PRECISIONS):
            raise InputError(f"precision {name!r} is none of fp32, {', '.join(PRECISIONS)} and {BEST}")
    return tuple(name for name in PRECISIONS if name in names)


def _compute_capability(text: str) -> str:
    """Return ``"8.9"`` for ``"8.9"``, ``"89"``, ``"sm89"`` and ``"SM_89"``."""
    found = re.fullmatch(r"(?:sm_?)?(\d{1,2})\.?(\d)", text.strip(), re.IGNORECASE)
    if found is None:
        raise InputError(f"{text!r} is no compute capability; expected one such as 8.9 or sm89")
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
    """Say that the values of an input have fractions, which no TensorRT takes where they shape other tensors."""
    return (
        f"input {name!r}: {given} has fractions, and where an input's values shape other tensors TensorRT takes whole "
        "numbers only. In place of scales, let the model take sizes (the fourth input of Resize), or fix them in it"
    )


def parse_range(text: str) -> ShapeRange:
    """Read ``1:8:64``, ``1x1x36x60:8x1x36x60:64x1x36x60``, or one of the three where all are the same.

    Raises:
        InputError: It is written otherwise, or the least is above the best or the greatest.
    """
    if not re.fullmatch(_RANGE, text):
        raise InputError(f"{text!r} is no range of shapes; expected such as 8x1x36x60, or least:best:greatest")
    shapes: list[Numbers] = [tuple(map(int, part.split("x"))) for part in text.split(":")]
    return ShapeRange(*(shapes if len(shapes) == 3 else shapes * 3))


def parse_shapes(text: str) -> dict[str, ShapeRange]:
    """Read ``eye=1x1x36x60:8x1x36x60:64x1x36x60,scale=1:1:1``: a range for each input, as trtexec has shapes.

    trtexec's own ``eye:8x1x36x60`` is read too. A name may have colons in it (``x:0``) if ``=`` follows it.

    Raises:
        InputError: It is written otherwise, or names an input twice.
    """
    ranges: dict[str, ShapeRange] = {}
    for part in text.split(","):
        found = _NAMED.fullmatch(part.strip())
        fraction = _FRACTION.fullmatch(part.strip())
        if fraction is not None:
            raise InputError(fractions_of(fraction["name"], fraction["range"]))
        if found is None:
            raise InputError(f"{part!r} is no NAME=SHAPES; expected such as eye=1x1x36x60:8x1x36x60:64x1x36x60")
        name = found["name"] or found["name2"]
        if name in ranges:
            raise InputError(f"shapes of {name!r} are given twice in {text!r}")
        ranges[name] = parse_range(found["range"] or found["range2"])
    return ranges
