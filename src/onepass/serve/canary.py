"""Canary inputs for a model, and whether its requests may be joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onepass._errors import BackendError, InputError
from onepass._independence import dependent_output
from onepass.outputs import Array
from onepass.runtime import Session
from onepass.sampling import input_shapes, random_inputs
from onepass.tensors import Signature

# Sizes for dynamic dimensions other than the batch: many networks have a minimum size.
_SIZES = (1, 16, 64, 224)
_SEEDS = (0, 1)


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
    """Return whether requests may be joined along their first axis and the results split again.

    The signature must allow it, and the model must show it on random rows (see `dependent_output`): if rows depended on
    each other, as in a normalisation over the batch, one client's answer would silently depend on another's request.

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
        return dependent_output(session, rows) is None
    except (BackendError, InputError):
        return False


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
