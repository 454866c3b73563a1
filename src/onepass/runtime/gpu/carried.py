"""Check inputs whose dtype in the engine differs from the model's."""

from __future__ import annotations

from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.engine.plan import Edge


def carried(feed: Any, edge: Edge) -> Any:
    """Check that an input's values fit the engine's dtype, if it differs from the model's."""
    if edge.is_cast and edge.carrier.kind in "iu" and feed.size:
        limits = np.iinfo(edge.carrier)
        if int(feed.min()) < limits.min or int(feed.max()) > limits.max:
            raise InputError(
                f"input {edge.spec.name!r}: the engine uses {edge.carrier} ({limits.min} … {limits.max}) for it, but "
                f"the values range from {feed.min()} to {feed.max()}; build the engine with a TensorRT that supports "
                f"{edge.spec.dtype}, version 10 or later"
            )
    return feed
