"""Parity: compare the finished ONNX model in ONNX Runtime with the framework's own results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onepass._distance import distances, is_exact, place_of_greatest, widened, widened_pair
from onepass._errors import OnepassError, ParityError, RunTimeoutError
from onepass.outputs import Array
from onepass.runtime import load
from onepass.source._reference import Case
from onepass.source.finish import FIXED_BATCH, Finished

_ATOL, _RTOL = 1e-4, 1e-3
# float16 is coarser than the tolerances above.
_HALF = 4e-3
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
# Below this, sums of numbers around 1 consist of rounding errors only.
_LEAST_SCALE = 0.01
# After rounding to integers (a cast, an argmax), this share of elements may differ due to rounding errors.
_ROUNDED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class OutputError:
    """The error of an ONNX model's output compared with the framework's own, in the worst case.

    Attributes:
        name: Name of the output in the ONNX model.
        max_abs: Maximum absolute error in this case.
        scale: The reference magnitude for the error: see `parity`.
        case: Name of the case.
        index: Position of the error in the output.
        expected: The framework's value there.
        found: The ONNX model's value there.
    """

    name: str
    max_abs: float
    scale: float
    case: str
    index: tuple[int, ...]
    expected: float
    found: float

    def __str__(self) -> str:
        return f"{self.name}: {self.summary}"

    @property
    def summary(self) -> str:
        """The error and its scale."""
        return "exact" if not self.max_abs else f"{self.max_abs:.1e} of {self.scale:.3g}"

    @property
    def relative(self) -> float:
        """The error relative to the scale."""
        return self.max_abs / self.scale if self.max_abs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the error as plain JSON values."""
        return asdict(self)


def parity(finished: Finished, cases: Sequence[Case], *, timeout_s: float | None = None) -> tuple[OutputError, ...]:
    """Run the model on every case, and compare each output with the framework's.

    The tolerance is 1e-4 of the output's scale plus 1e-3 of the element, in float16 4e-3 of both; 1 for 8-bit integers;
    0 for other integers and booleans, except that 1 % of the elements may differ due to rounding. The scale is the
    output's greatest magnitude in this case, but at least 1; for outputs that never reach 1 in any case, at least their
    greatest magnitude in all cases, and at least 0.01. Values that are not finite in the framework are not compared.

    Args:
        finished: The model.
        cases: Inputs, and the framework's outputs for them.
        timeout_s: Time limit for one run, in seconds.

    Raises:
        RunTimeoutError: A run exceeded the time limit.
        ParityError: An output exceeds the tolerance; the message says where, and names a likely cause.
    """
    cases = tuple(finished.cases(cases))
    reached = {name: max((_magnitude(case.outputs[name]) for case in cases), default=0) for name in finished.sources}
    worst: dict[str, OutputError] = {}
    with load(finished.graph) as session:
        for case in cases:
            try:
                outputs = session(case.inputs, timeout=timeout_s)
            except RunTimeoutError:
                raise
            except OnepassError as error:
                cause = "" if finished.batch is None else f". Likely cause: {FIXED_BATCH}"
                raise ParityError(f"ONNX Runtime cannot run the model on {case.name}: {error}{cause}") from error
            for name, found in outputs.items():
                expected = case.outputs[name]
                scale = max(_magnitude(expected), min(1.0, max(reached[name], _LEAST_SCALE)))
                if not _within(expected, found, scale):
                    raise ParityError(_complaint(name, case, found, scale, finished))
                index, error_here = _worst(expected, found)
                pair = widened_pair(expected, found)
                at = (float(np.real(array[index])) if array.size else 0.0 for array in pair)
                here = OutputError(name, error_here, scale, case.name, index, *at)
                if name not in worst or here.relative > worst[name].relative:
                    worst[name] = here
    return tuple(worst.values())


def _within(expected: Array, found: Array, scale: float) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    if expected.dtype.itemsize == 1 and expected.dtype.kind in "iu":  # quantised, or a picture
        return bool(np.all(np.abs(expected.astype(np.int16) - found.astype(np.int16)) <= 1))
    if is_exact(expected.dtype):
        return bool(np.count_nonzero(expected != found) <= _ROUNDED_SHARE * expected.size)
    wide, half = widened(expected), expected.dtype.itemsize < 4
    known = np.isfinite(wide)
    allowed = (_HALF if half else _ATOL) * scale + (_HALF if half else _RTOL) * np.abs(wide[known])
    return bool(np.all(_errors(expected, found)[known] <= allowed))


def _magnitude(expected: Array) -> float:
    wide = widened(expected)
    return float(np.abs(wide[np.isfinite(wide)]).max(initial=0))


def _worst(expected: Array, found: Array) -> tuple[tuple[int, ...], float]:
    """Return position and size of the greatest error."""
    if not expected.size:
        return (), 0.0
    error = _errors(expected, found)
    index = place_of_greatest(error, error.shape)
    return index, float(error[index])


def _errors(expected: Array, found: Array) -> Array:
    """Return each element's error: infinite if only the framework's value is finite, 0 if it is not."""
    wide, other = widened_pair(expected, found)
    errors = distances(wide, other)
    errors[~np.isfinite(wide)] = 0
    return errors


def _complaint(name: str, case: Case, found: Array, scale: float, finished: Finished) -> str:
    reference = case.outputs[name]
    if reference.shape != found.shape or reference.dtype != found.dtype:
        what = (
            f"is {found.dtype} {list(found.shape)}, but in the framework {reference.dtype} {list(reference.shape)}, on "
            f"{case.name}"
        )
    else:
        index, error = _worst(reference, found)
        what = (
            f"differs by up to {error:.3g}: the framework computes {reference[index]!s}, ONNX Runtime "
            f"{found[index]!s}, at {list(index)} on {case.name}"
        )
    return (
        f"output {name!r} {what}. Likely cause: {_cause(name, case, found, scale, finished)}. Nothing was written; "
        "verify=False writes the model anyway"
    )


def _cause(name: str, case: Case, found: Array, scale: float, finished: Finished) -> str:
    """Return the first known cause that matches."""
    for other, reference in case.outputs.items():
        if other != name and reference.size and _within(reference, found, scale):
            return f"the exporter confused it with {other!r}"
    if case.name.startswith("batch of"):
        return FIXED_BATCH
    kinds = {node.op_type for node in finished.graph.proto.graph.node}
    drawn = sorted(kinds & _RANDOM)
    if drawn:
        return f"the network draws random numbers ({', '.join(drawn)}), different ones in each run"
    if finished.graph.opset < 11 and kinds & {"Resize", "Upsample"}:
        return (
            f"opset {finished.graph.opset} cannot express how pictures are resized (align_corners and similar options "
            "are lost without a warning); use opset 11 or later"
        )
    return "an operator that the exporter translates wrongly; onepass.compare.bisect finds it between two ONNX files"
