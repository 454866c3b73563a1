"""An ONNX model looked at: what it takes and gives, and whether items of one batch leave each other alone."""

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

_MOST = 8  # where the user does not say


def looked_at(spec: ModelSpec, max_batch: int | None) -> tuple[Signature, Batch]:
    """Open a model on the CPU, and return its signature and how many items a call may have.

    Raises:
        ModelError: It does not open.
        InputError: There cannot be such batches.
    """
    with load(spec.path) as session:
        apart = partial(why_not_together, session, trusted=max_batch is not None)
        return session.signature, batch_of(session.signature, max_batch, most=_MOST, apart=apart)


def why_not_together(session: Session, *, trusted: bool) -> str:
    """Return why requests must not be put together into one batch, "" if they may.

    Args:
        session: A model whose first dimensions all count items.
        trusted: Whether to believe so of a model that does not run on inputs that are made up.
    """
    signature = session.signature
    names = {spec.shape[0] for spec in signature.inputs if spec.shape}
    sizes = {name: 2 for name in names if isinstance(name, str)}
    feeds = random_inputs(signature, sizes=sizes, batch=2)
    try:
        both = session(feeds)
        each = [session({name: array[index : index + 1] for name, array in feeds.items()}) for index in (0, 1)]
    except BackendError:
        return "" if trusted else "it does not run on inputs that are made up, so nothing shows that items stay apart"
    for name, array in both.items():
        alone = [outputs[name] for outputs in each]
        if any(len(one) != 1 for one in alone) or not _same(array, np.concatenate(alone)):
            return f"output {name!r} of an item depends on the items that it is run with"
    return ""


def _same(together: Array, alone: Array) -> bool:
    """Whether arrays are the same, but for the order in which sums were made."""
    if together.shape != alone.shape:
        return False
    if is_exact(together.dtype):
        return bool((together == alone).all())
    a, b = widened(together), widened(alone)
    finite = np.abs(a[np.isfinite(a)])
    return np.allclose(a, b, rtol=1e-2, atol=1e-3 * float(finite.max(initial=0)), equal_nan=True)
