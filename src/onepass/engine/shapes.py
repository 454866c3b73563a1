"""Shape ranges that an engine is built for: minimum, optimum and maximum for each input with a dynamic shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onepass._errors import InputError

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """Minimum, optimum and maximum shape of one input; TensorRT chooses kernels for the optimum.

    For a shape tensor, an input whose *values* determine the shapes of other tensors (the repeats of a Tile, the trip
    count of a Loop), the range holds values instead of sizes.
    """

    min: Numbers
    opt: Numbers
    max: Numbers

    def __post_init__(self) -> None:
        for name in ("min", "opt", "max"):
            object.__setattr__(self, name, _numbers(getattr(self, name)))
        text = str(self)
        if not len(self.min) == len(self.opt) == len(self.max):
            raise InputError(f"shapes {text}: min, opt and max must have the same rank")
        if not all(a <= b <= c for a, b, c in zip(self.min, self.opt, self.max, strict=True)):
            raise InputError(f"shapes {text}: expected min <= opt <= max in every dimension")

    def __str__(self) -> str:
        parts = ["x".join(map(str, shape)) for shape in (self.min, self.opt, self.max)]
        return ":".join(parts) if self.min != self.max else parts[0]

    def contains(self, shape: Sequence[int]) -> bool:
        """Whether a shape is within the range."""
        return len(shape) == len(self.min) and all(
            low <= size <= high for low, size, high in zip(self.min, shape, self.max, strict=True)
        )

    def to_json(self) -> list[list[int]]:
        """Return ``[min, opt, max]``; `from_json` reads it back."""
        return [list(self.min), list(self.opt), list(self.max)]

    @classmethod
    def from_json(cls, data: Sequence[Sequence[int]]) -> ShapeRange:
        """Read what `to_json` wrote."""
        least, best, greatest = data
        return cls(tuple(least), tuple(best), tuple(greatest))


@dataclass(frozen=True, slots=True)
class Profile:
    """One optimisation profile of an engine: a range for every input.

    Attributes:
        shapes: Input name in the model to the range of its shape; inputs with a fixed shape have min = max.
        values: Name of a shape tensor to the range of its values, flattened.
    """

    shapes: Mapping[str, ShapeRange]
    values: Mapping[str, ShapeRange] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `from_json` reads them back."""
        return {
            "shapes": {name: each.to_json() for name, each in self.shapes.items()},
            "values": {name: each.to_json() for name, each in self.values.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Read what `to_json` wrote."""
        return cls(
            {name: ShapeRange.from_json(each) for name, each in data["shapes"].items()},
            {name: ShapeRange.from_json(each) for name, each in data["values"].items()},
        )


def _numbers(value: Any) -> Numbers:
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for number in numbers:
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 0:
            raise InputError(f"invalid shape {value!r}; each size must be a whole number ≥ 0")
    return tuple(int(number) for number in numbers)
