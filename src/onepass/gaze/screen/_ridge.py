"""Ridge regression, with leave-one-group-out selection of its strength and measurement of its error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onepass.gaze.geometry import FloatArray

Groups = npt.NDArray[np.intp]

# Candidate strengths, for features of magnitude 1.
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def solve(features: FloatArray, targets: FloatArray, ridge: float) -> FloatArray:
    """Return the weights [F, 2] of a ridge regression; the constant is not penalised."""
    penalty = ridge * np.eye(features.shape[1])
    penalty[0, 0] = 0
    normal = features.T @ features / len(features) + penalty
    weights: FloatArray = np.linalg.lstsq(normal, features.T @ targets / len(features), rcond=None)[0]
    return weights


def error_without(features: FloatArray, targets: FloatArray, group_of: Groups, group: int, ridge: float) -> float:
    """Return the mean error in pixels on a group that the regression did not use."""
    here = group_of == group
    weights = solve(features[~here], targets[~here], ridge)
    return float(np.linalg.norm(features[here] @ weights - targets[here], axis=1).mean())


def best_ridge(features: FloatArray, targets: FloatArray, group_of: Groups) -> float:
    """Return the strength with the smallest error on held-out groups."""
    groups = np.unique(group_of)

    def error(ridge: float) -> float:
        return sum(error_without(features, targets, group_of, group, ridge) for group in groups)

    return min(_RIDGES, key=error)


def held_out_errors(features: FloatArray, targets: FloatArray, group_of: Groups) -> list[float]:
    """Return the error on each held-out group; the strength is selected without it, too."""
    errors = []
    for group in np.unique(group_of):
        rest = group_of != group
        ridge = best_ridge(features[rest], targets[rest], group_of[rest])
        errors.append(error_without(features, targets, group_of, group, ridge))
    return errors
