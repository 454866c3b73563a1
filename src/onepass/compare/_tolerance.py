"""How far two outputs may differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from onepass._distance import is_exact, step
from onepass._errors import InputError, OutputNameError
from onepass.tensors import STRING, no_such_name

PerOutput: TypeAlias = float | Mapping[str, float] | None
"""One value for all outputs, or values by output name; the name ``""`` stands for all other outputs."""

_ATOL, _RTOL = 1e-4, 1e-3
_COARSE = 4.0  # rounding steps of the type that two results may differ by, where these exceed the values above


@dataclass(frozen=True, slots=True)
class Tolerance:
    """An element is within tolerance if ``|a - b| <= atol + rtol * |a|``, as in NumPy's ``isclose`` with `a` exact.

    Attributes:
        atol: Absolute part, in the output's own unit.
        rtol: Part relative to the element of the first model.
        agreement: Fraction of elements, 0 to 1, that must be within tolerance for the output to pass.
    """

    atol: float
    rtol: float
    agreement: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if not 0 <= value < math.inf:
                raise InputError(f"{name} must be a finite number ≥ 0, got {value}")
        if not 0 <= self.agreement <= 1:
            raise InputError(f"agreement must be a fraction from 0 to 1, got {self.agreement}")


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The tolerance of each output, from values for all outputs and values by name.

    Defaults depend on the output's dtype, or on the coarser dtype where the two models differ. For floating-point
    numbers `atol` is ``1e-4`` and `rtol` ``1e-3``, or four rounding steps of the type where these are larger (float16:
    ``3.9e-3``). Integers and booleans must be equal by default, strings always. By default every element must agree.
    """

    atol: PerOutput = None
    rtol: PerOutput = None
    agreement: PerOutput = None

    def of(self, name: str, *dtypes: np.dtype[Any]) -> Tolerance:
        """Return the tolerance of the output `name`, whose dtypes in the two models are `dtypes`."""
        if STRING in dtypes:
            return Tolerance(0.0, 0.0, _value(self.agreement, name, 1.0))
        inexact = not all(map(is_exact, dtypes))
        coarse = _COARSE * max(map(step, dtypes), default=0.0)
        return Tolerance(
            _value(self.atol, name, max(_ATOL, coarse) if inexact else 0.0),
            _value(self.rtol, name, max(_RTOL, coarse) if inexact else 0.0),
            _value(self.agreement, name, 1.0),
        )

    def check_names(self, outputs: tuple[str, ...]) -> None:
        """Check that tolerances name only outputs that are compared.

        Raises:
            OutputNameError: A tolerance names another output.
        """
        for values in (self.atol, self.rtol, self.agreement):
            for name in values if isinstance(values, Mapping) else ():
                if name and name not in outputs:
                    raise OutputNameError(no_such_name("output", name, outputs))


def _value(given: PerOutput, name: str, default: float) -> float:
    if isinstance(given, Mapping):
        return float(given.get(name, given.get("", default)))
    return default if given is None else float(given)
