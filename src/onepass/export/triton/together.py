"""Inspect an ONNX model: its signature, and whether items of a batch are independent."""

from __future__ import annotations

from functools import partial

import numpy as np

from onepass._distance import is_exact, widened
from onepass._errors import BackendError
from onepass.export.triton.edges import Batch, batch_of
from onepass.outputs import Array
from onepass.runtime import ModelSpec, Session, load
from onepass.sampling import random_inputs
from onepass.tensors import Signature

_MOST = 8  # the default


def looked_at(spec: ModelSpec, max_batch: int | None) -> tuple[Signature, Batch]:
    """Open a model on the CPU, and return its signature and the maximum number of items per call.

    Raises:
        ModelError: The model cannot be opened.
        InputError: The batch size is impossible.
    """
    with load(spec.path) as session:
        apart = partial(why_not_together, session, trusted=max_batch is not None)
        return session.signature, batch_of(session.signature, max_batch, most=_MOST, apart=apart)


def why_not_together(session: Session, *, trusted: bool) -> str:
    """Return why requests must not be batched, or "" if they may.

    Args:
        session: A model whose first dimensions are all the batch dimension.
        trusted: Whether to allow batches for a model that rejects random inputs.
    """
    signature = session.signature
    names = {spec.shape[0] for spec in signature.inputs if spec.shape}
    sizes = {name: 2 for name in names if isinstance(name, str)}
    feeds = random_inputs(signature, sizes=sizes, batch=2)
    try:
        both = session(feeds)
        each = [session({name: array[index : index + 1] for name, array in feeds.items()}) for index in (0, 1)]
    except BackendError:
        return "" if trusted else "the model rejects random inputs, so the independence of items cannot be tested"
    for name, array in both.items():
        alone = [outputs[name] for outputs in each]
        if any(len(one) != 1 for one in alone) or not _same(array, np.concatenate(alone)):
            return f"output {name!r} of an item depends on the other items of its batch"
    return ""


def _same(together: Array, alone: Array) -> bool:
    """Whether arrays are equal up to rounding by a different order of sums."""
    if together.shape != alone.shape:
        return False
    if is_exact(together.dtype):
        return bool((together == alone).all())
    a, b = widened(together), widened(alone)
    finite = np.abs(a[np.isfinite(a)])
    return np.allclose(a, b, rtol=1e-2, atol=1e-3 * float(finite.max(initial=0)), equal_nan=True)
