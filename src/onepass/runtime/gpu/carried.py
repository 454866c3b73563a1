"""Inputs in the dtype in which an engine holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.engine.plan import Edge


def carried(feed: Any, edge: Edge) -> Any:
    """Check that the engine's dtype holds the numbers of an input, where it is not the model's own."""
    if edge.is_cast and edge.carrier.kind in "iu" and feed.size:
        limits = np.iinfo(edge.carrier)
        if int(feed.min()) < limits.min or int(feed.max()) > limits.max:
            raise InputError(
                f"input {edge.spec.name!r}: the engine holds it as {edge.carrier} ({limits.min} … {limits.max}), and "
                f"there are numbers from {feed.min()} to {feed.max()}; build it with a TensorRT that has "
                f"{edge.spec.dtype}, version 10 or later"
            )
    return feed
