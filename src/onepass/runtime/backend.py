"""The seam between a `Session`, which checks, and what computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from onepass.outputs import Array
from onepass.tensors import Signature


@runtime_checkable
class Backend(Protocol):
    """Something that executes one model. The session in front of it has checked everything a backend is given.

    A backend may have more than this, which a session asks for by name: ``import_stream``, where it waits for arrays on
    its GPU, and then takes a `DeviceArray` for an input; ``empty_inputs(shapes)``, arrays that need no copy when they
    are given; ``profile(feeds)``, the milliseconds of the parts of one run.
    """

    @property
    def signature(self) -> Signature:
        """Inputs and outputs in the model's order; never changes."""

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Compute the outputs called `names`, in that order. Many threads may call at once.

        Args:
            feeds: One C-contiguous array for each input, of the input's dtype and of a shape it allows.
            names: Names of outputs, in the model's order, each once.

        Returns:
            One array a name, of the output's dtype. They belong to the caller: nothing writes to them afterwards,
            and they share no memory with `feeds`.

        Raises:
            BackendError: The computation failed.
        """

    def report(self) -> Mapping[str, Any]:
        """Say what runs the model: at least ``backend`` (its name) and ``device``; plain JSON values."""

    def close(self) -> None:
        """Free what the backend holds. Calls under way finish first; the session makes no further call."""
