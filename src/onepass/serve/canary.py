"""Trial inputs for a model, and a test whether the model computes rows independently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from onepass._distance import distances, is_exact, widened_pair
from onepass._errors import BackendError, InputError
from onepass.outputs import Array, Outputs
from onepass.runtime import Session
from onepass.sampling import input_shapes, random_inputs
from onepass.tensors import Signature

# Sizes for dynamic dimensions other than the batch: many networks have a minimum size.
_SIZES = (1, 16, 64, 224)
_SEEDS = (0, 1)
# Kernels for one row and for two rows round differently; dependent rows differ by far more.
_RELATIVE = 1e-2


def canary(session: Session, *, timeout: float | None = None) -> dict[str, Array] | None:
    """Return one-row random inputs that the model accepts within the timeout; None if none were found."""
    for shapes in _candidates(session):
        try:
            feeds = random_inputs(session.signature, shapes=shapes)
            session(feeds, timeout=timeout)
        except (BackendError, InputError):
            continue
        return feeds
    return None


def has_rows(session: Session, feeds: Mapping[str, Array]) -> bool:
    """Whether inputs can be joined, and outputs split, along their first axis without changing the result.

    The signature says whether batching is possible, but the model has to prove it. If rows depend on each other (by
    normalisation over the batch, for example), one client's answer would silently depend on another client's data.

    Args:
        session: The model.
        feeds: The inputs that `canary` found.
    """
    if not _may_have_rows(session.signature):
        return False
    shapes = {name: array.shape for name, array in feeds.items()}
    if any(shape[0] != 1 for shape in shapes.values()):
        return False
    rows = [random_inputs(session.signature, shapes=shapes, seed=seed) for seed in _SEEDS]
    try:
        alone = [session(each) for each in rows]
        joined = session({name: np.concatenate([each[name] for each in rows]) for name in feeds})
    except (BackendError, InputError):
        return False
    return all(_is_cut(joined, alone, name) for name in session.signature.output_names)


def most_rows(session: Session) -> int | None:
    """Return the maximum rows of an engine's profiles; None if no profile sets one."""
    found = [
        shape[2][0]
        for profile in session.report().get("profiles", ())
        for shape in profile["shapes"].values()
        if shape[2]
    ]
    return max(found, default=None)


def _candidates(session: Session) -> Iterator[dict[str, tuple[int, ...]]]:
    for profile in session.report().get("profiles", ()):
        ranges: Mapping[str, Any] = profile["shapes"]
        yield {name: (*least[:1], *best[1:]) for name, (least, best, _) in ranges.items()}
    for size in _SIZES:
        try:
            yield input_shapes(session.signature, other=size)
        except InputError:  # an input without a rank
            return


def _may_have_rows(signature: Signature) -> bool:
    specs = (*signature.inputs, *signature.outputs)
    return bool(signature.inputs) and all(spec.shape and not isinstance(spec.shape[0], int) for spec in specs)


def _is_cut(joined: Outputs, alone: list[Outputs], name: str) -> bool:
    whole = np.concatenate([each[name] for each in alone])
    if any(len(each[name]) != 1 for each in alone) or joined[name].shape != whole.shape:
        return False
    if is_exact(whole.dtype):
        return bool((joined[name] == whole).all())
    first, second = widened_pair(joined[name], whole)
    scale = float(np.abs(second[np.isfinite(second)]).max(initial=0))
    return bool((distances(first, second) <= _RELATIVE * scale).all())
