"""Inspect an ONNX model: its signature, and whether Triton may join requests into batches."""

from __future__ import annotations

from functools import partial

from onepass._errors import BackendError
from onepass._independence import dependent_output
from onepass.export.triton.edges import Batch, batch_of
from onepass.runtime import ModelSpec, Session, load
from onepass.sampling import random_inputs
from onepass.tensors import Signature

_MOST = 8  # the default
_SEEDS = (0, 1)


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
    """Return why requests must not be joined into one batch, "" if they may.

    Args:
        session: A model in which every input and output has the batch dimension first.
        trusted: Whether a model that does not run on random inputs is believed to have independent items.
    """
    items = [random_inputs(session.signature, seed=seed) for seed in _SEEDS]
    try:
        name = dependent_output(session, items)
    except BackendError:
        return "" if trusted else "the model does not run on random inputs, so nothing shows that items are independent"
    return "" if name is None else f"output {name!r} of an item depends on the other items in the batch"
