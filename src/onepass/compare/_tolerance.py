"""How far two outputs may be apart."""

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
"""One value for every output, or values by output name; the name ``""`` stands for all others."""

_ATOL, _RTOL = 1e-4, 1e-3
_COARSE = 4.0  # so many of a type's own steps may lie between two results, where its steps are coarser than the above


@dataclass(frozen=True, slots=True)
class Tolerance:
    """An element is within tolerance if ``|a - b| <= atol + rtol * |a|``, as in NumPy's ``isclose`` with `a` exact.

    Attributes:
        atol: Absolute part, in the output's own unit.
        rtol: Part relative to the element of the first model.
        agreement: Share of elements, 0 to 1, that must be within tolerance for the output to pass.
    """

    atol: float
    rtol: float
    agreement: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if not 0 <= value < math.inf:
                raise InputError(f"{name} is a number from 0 up, got {value}")
        if not 0 <= self.agreement <= 1:
            raise InputError(f"agreement is a share from 0 to 1, got {self.agreement}")


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The tolerance of each output, from values for all and values by name.

    What is not given depends on the output's dtype, the coarser one where the two models differ: ``1e-4`` and
    ``1e-3`` for floating-point numbers, or four steps of the type where those are coarser (float16: ``3.9e-3``), and
    nothing for whole numbers and truth values, which must be equal. Strings must be equal whatever is given. Every
    element must agree.
    """

    atol: PerOutput = None
    rtol: PerOutput = None
    agreement: PerOutput = None

    def of(self, name: str, *dtypes: np.dtype[Any]) -> Tolerance:
        """Return the tolerance of the output `name`, whose dtype in either model is one of `dtypes`."""
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
        """Refuse a tolerance for an output that is not compared.

        Raises:
            OutputNameError: There is one.
        """
        for values in (self.atol, self.rtol, self.agreement):
            for name in values if isinstance(values, Mapping) else ():
                if name and name not in outputs:
                    raise OutputNameError(no_such_name("output", name, outputs))


def _value(given: PerOutput, name: str, default: float) -> float:
    if isinstance(given, Mapping):
        return float(given.get(name, given.get("", default)))
    return default if given is None else float(given)
