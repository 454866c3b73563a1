"""Check that a model computes each row of a batch independently of the other rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from onepass._distance import distances, is_exact, widened_pair
from onepass.outputs import Array

# GPU kernels for one row and for several round differently: after 50 layers in TF32 or float16, results differ by up to
# 0.3 % of the greatest number, in bfloat16 by 1 %. Elements near zero differ as much as the others, so a tolerance
# relative to each element would reject such models. Rows that depend on each other differ by far more.
_RELATIVE = 1e-2


def dependent_output(
    call: Callable[[Mapping[str, Array]], Mapping[str, Array]], rows: Sequence[Mapping[str, Array]]
) -> str | None:
    """Return the name of an output whose rows depend on each other, or None if rows may be joined into one batch.

    Each row is run alone, then all rows are run together. Every output must have one row per input row, with equal
    values: exactly equal for integers, booleans and strings, within 1 % of the output's greatest number otherwise. NaN
    and infinities count as different, because they could hide a dependency.

    Args:
        call: The model; its exceptions pass through.
        rows: At least two inputs by name, each with shape [1, …]. Rows with equal values prove nothing.
    """
    alone = [call(row) for row in rows]
    joined = call({name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
    return next((name for name, array in joined.items() if not _agree(array, [each[name] for each in alone])), None)


def _agree(joined: Array, alone: Sequence[Array]) -> bool:
    if any(array.ndim == 0 or len(array) != 1 for array in alone):
        return False
    expected = np.concatenate(alone)
    if joined.shape != expected.shape:
        return False
    if is_exact(expected.dtype):
        return bool((joined == expected).all())
    first, second = widened_pair(joined, expected)
    greatest = float(np.abs(second[np.isfinite(second)]).max(initial=0))
    return bool((distances(first, second) <= _RELATIVE * greatest).all())
