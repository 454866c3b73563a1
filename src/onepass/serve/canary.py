"""Inputs that a model is tried with, and whether it computes each row by itself."""

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

# Sizes of dimensions that are dynamic and count no rows: many networks have a least size.
_SIZES = (1, 16, 64, 224)
_SEEDS = (0, 1)
# Kernels for one row and for two round differently; rows that depend on each other differ by far more.
_RELATIVE = 1e-2


def canary(session: Session, *, timeout: float | None = None) -> dict[str, Array] | None:
    """Return random inputs of one row that the model computes something of, in time; None where none were found."""
    for shapes in _candidates(session):
        try:
            feeds = random_inputs(session.signature, shapes=shapes)
            session(feeds, timeout=timeout)
        except (BackendError, InputError):
            continue
        return feeds
    return None


def has_rows(session: Session, feeds: Mapping[str, Array]) -> bool:
    """Whether inputs can be joined along their first axis, and outputs cut along theirs, with the same result.

    The signature says whether that may be; what it says is not believed until the model has computed it: a network
    whose rows depend on each other (a normalisation over the batch, say) would silently answer one client with what
    another sent.

    Args:
        session: The model.
        feeds: What `canary` found.
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
    """Return how many rows an engine takes at once by its profiles; None where nothing says it."""
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
