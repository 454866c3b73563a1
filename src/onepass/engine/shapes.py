"""The shapes that an engine is built for: least, best and greatest, for each input of dynamic shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onepass._errors import InputError

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The least shape of one input, the one that kernels are chosen for, and the greatest.

    For an input whose *values* shape other tensors (the repeats of a Tile, the trip count of a Loop) it holds values
    in place of sizes.
    """

    min: Numbers
    opt: Numbers
    max: Numbers

    def __post_init__(self) -> None:
        for name in ("min", "opt", "max"):
            object.__setattr__(self, name, _numbers(getattr(self, name)))
        text = str(self)
        if not len(self.min) == len(self.opt) == len(self.max):
            raise InputError(f"shapes {text}: the least, the best and the greatest must have the same rank")
        if not all(a <= b <= c for a, b, c in zip(self.min, self.opt, self.max, strict=True)):
            raise InputError(f"shapes {text}: expected least <= best <= greatest in every dimension")

    def __str__(self) -> str:
        parts = ["x".join(map(str, shape)) for shape in (self.min, self.opt, self.max)]
        return ":".join(parts) if self.min != self.max else parts[0]

    def contains(self, shape: Sequence[int]) -> bool:
        """Whether a shape lies in the range."""
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
        shapes: Input name (the model's) to the range of its shape; fixed inputs have least = greatest.
        values: Name of an input whose values shape other tensors to the range of its values, flat.
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
            raise InputError(f"{value!r} is no shape; each size is a whole number from 0 up")
    return tuple(int(number) for number in numbers)
