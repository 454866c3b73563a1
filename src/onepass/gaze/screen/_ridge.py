"""Ridge regression, its strength chosen and its error measured by leaving out one group of samples at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onepass.gaze.geometry import FloatArray

Groups = npt.NDArray[np.intp]

# Strengths that are tried, for features of about the size of 1.
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def solve(features: FloatArray, targets: FloatArray, ridge: float) -> FloatArray:
    """Return the weights [F, 2] of a ridge regression; the constant is free."""
    penalty = ridge * np.eye(features.shape[1])
    penalty[0, 0] = 0
    normal = features.T @ features / len(features) + penalty
    weights: FloatArray = np.linalg.lstsq(normal, features.T @ targets / len(features), rcond=None)[0]
    return weights


def error_without(features: FloatArray, targets: FloatArray, group_of: Groups, group: int, ridge: float) -> float:
    """Return the mean error in pixels at a group of a regression that was made without it."""
    here = group_of == group
    weights = solve(features[~here], targets[~here], ridge)
    return float(np.linalg.norm(features[here] @ weights - targets[here], axis=1).mean())


def best_ridge(features: FloatArray, targets: FloatArray, group_of: Groups) -> float:
    """Return the ridge with the least error at groups that are left out."""
    groups = np.unique(group_of)

    def error(ridge: float) -> float:
        return sum(error_without(features, targets, group_of, group, ridge) for group in groups)

    return min(_RIDGES, key=error)


def held_out_errors(features: FloatArray, targets: FloatArray, group_of: Groups) -> list[float]:
    """Return the error at each group, left out altogether: the ridge, too, is chosen without it."""
    errors = []
    for group in np.unique(group_of):
        rest = group_of != group
        ridge = best_ridge(features[rest], targets[rest], group_of[rest])
        errors.append(error_without(features, targets, group_of, group, ridge))
    return errors
