"""Inputs and outputs of an engine that differ from the model's: pictures, and other types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import ml_dtypes
import numpy as np

from onepass._errors import InputError
from onepass.tensors import Signature, no_such_name

Order: TypeAlias = Literal["rgb", "bgr", "gray"]
IoFormats: TypeAlias = Mapping[str, str] | Sequence[str]
"""Name of an input or output to its type; or, as in trtexec, one type each in the model's order."""

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "fp32": np.dtype(np.float32), "fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16),
    "int32": np.dtype(np.int32), "int64": np.dtype(np.int64), "int8": np.dtype(np.int8), "uint8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}  # fmt: skip
# A tensor's type may be replaced by another type of the same family.
_FAMILIES = ({_DTYPES[name] for name in ("fp32", "fp16", "bf16")}, {_DTYPES[name] for name in ("int32", "int64")})
_LINEAR = "chw"
_NUMBER = r"-?\d+(?:\.\d*)?(?:e-?\d+)?|-?\.\d+"
_NUMBERS = rf"(?:{_NUMBER})(?::(?:{_NUMBER}))*"
_PICTURE = re.compile(rf"(?P<order>[a-z]+)(?:,(?P<mean>{_NUMBERS})(?:,(?P<std>{_NUMBERS}))?)?")


@dataclass(frozen=True)
class PictureInput:
    """How pictures become network input: uint8 [N, H, W, C] is converted to ``(pixels / 255 - mean) / std``.

    Attributes:
        order: ``"bgr"`` reverses the channels, for BGR pictures such as OpenCV's and an RGB network. ``"rgb"`` and
            ``"gray"`` keep the order.
        mean: One number, or one per channel in the network's order, for pixels from 0 to 1.
        std: Likewise.

    Raises:
        InputError: The order is unknown.
    """

    order: Order = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise InputError(f"the channel order must be {' or '.join(get_args(Order))}, got {self.order!r}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            numbers = (value,) if isinstance(value, (int, float)) else value
            object.__setattr__(self, name, tuple(map(float, numbers)))

    def __str__(self) -> str:
        return ",".join([self.order, *(":".join(map(repr, numbers)) for numbers in (self.mean, self.std))])

    @classmethod
    def parse(cls, text: str) -> PictureInput:
        """Read ``bgr,0.485:0.456:0.406,0.229:0.224:0.225``: channel order, mean and standard deviation.

        Mean and deviation are optional.

        Raises:
            InputError: The text has another form.
        """
        found = _PICTURE.fullmatch(text.strip().lower())
        if found is None:
            raise InputError(
                f"invalid picture input {text!r}; expected a channel order such as rgb, or "
                "bgr,0.485:0.456:0.406,0.229:0.224:0.225 (order, mean, standard deviation)"
            )
        mean, std = (
            tuple(map(float, (found[name] or other).split(":"))) for name, other in (("mean", "0"), ("std", "1"))
        )
        return cls(found["order"], mean, std)  # type: ignore[arg-type] # checked by __post_init__


def picture_texts(given: Mapping[str, PictureInput | str]) -> dict[str, str]:
    """Return the picture conversion of each input as text for `PictureInput.parse`."""
    return {name: str(one if isinstance(one, PictureInput) else PictureInput.parse(one)) for name, one in given.items()}


def io_formats(given: IoFormats, what: str) -> dict[str, str] | tuple[str, ...]:
    """Return the types of inputs or outputs, without trtexec's suffix for the ordinary memory layout.

    Raises:
        InputError: A type is unknown, or the memory layout is another one.
    """
    if isinstance(given, Mapping):
        return {name: _type_in(text, f"{what} of {name!r}") for name, text in given.items()}
    texts = given.split(",") if isinstance(given, str) else given
    return tuple(_type_in(text, what) for text in texts)


def edge_dtypes(signature: Signature, inputs: IoFormats, outputs: IoFormats) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of the inputs and outputs that change their dtype.

    Raises:
        InputError: A name is unknown, the number of types is wrong, or a tensor cannot have the type.
    """
    changed: dict[str, np.dtype[Any]] = {}
    for kind, specs, given in (("input", signature.inputs, inputs), ("output", signature.outputs, outputs)):
        names = tuple(spec.name for spec in specs)
        if given and not isinstance(given, Mapping) and len(given) != len(names):
            raise InputError(
                f"{kind}_io_formats has {len(given)} types for {len(names)} {kind}s ({', '.join(names)}); give "
                "one type each, or types by name"
            )
        asked = given if isinstance(given, Mapping) else dict(zip(names, given, strict=False))
        for name, text in asked.items():
            if name not in names:
                raise InputError(no_such_name(kind, name, names))
            own, new = next(spec.dtype for spec in specs if spec.name == name), _DTYPES[text]
            if own != new:
                if not any({own, new} <= family for family in _FAMILIES):
                    raise InputError(f"{kind} {name!r} is {own} and cannot become {text}: this would change its values")
                changed[name] = new
    return changed


def _type_in(text: str, what: str) -> str:
    kind, _, layout = text.strip().lower().partition(":")
    if kind not in _DTYPES:
        raise InputError(f"{what}: unknown type {text!r}; expected one of {', '.join(_DTYPES)}")
    if layout not in ("", _LINEAR):
        raise InputError(
            f"{what}: layout {layout!r} is not supported; onepass arrays have the model's layout ({_LINEAR}), and "
            "TensorRT chooses its own layouts inside the engine"
        )
    return kind
