"""The seam between a `Session`, which checks, and what computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from onepass.outputs import Array
from onepass.tensors import Signature

if TYPE_CHECKING:
    from onepass.runtime._cuda import Stream


@runtime_checkable
class Backend(Protocol):
    """Something that executes one model. The session in front of it has checked everything a backend is given.

    A backend defines `signature`, `run`, `report` and `close`. The rest has defaults that are right for a backend that
    takes and gives arrays on the host. A backend that derives from this class has them; a session adds them to one that
    does not.

    Attributes:
        signature: Inputs and outputs in the model's order; never changes.
        concurrency: How many runs go on side by side; more threads may call, and wait. From 1 up.
        import_stream: The CUDA stream that waits for arrays on the backend's GPU. A backend that has one takes a
            `DeviceArray` for any input; None where it takes none.
    """

    signature: Signature
    concurrency: int = 4
    import_stream: Stream | None = None

    def run(self, feeds: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any]:
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
        ...

    def report(self) -> Mapping[str, Any]:
        """Say what runs the model: at least ``backend`` (its name) and ``device``; plain JSON values."""
        ...

    def close(self) -> None:
        """Free what the backend holds. Calls under way finish first; the session makes no further call."""
        ...

    def empty_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return an array for every input, to be filled and given to `run`; the caller's until it is gone.

        Args:
            shapes: The shape of each input, by name; one that the input allows.
        """
        return {spec.name: np.empty(shapes[spec.name], spec.dtype) for spec in self.signature.inputs}

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float] | None:  # noqa: ARG002 - for those that can
        """Run once and return the milliseconds of its parts, by trtexec's names; None where that cannot be told."""
        return None


def completed(backend: Any) -> Backend:
    """Return a backend that has everything: the one given, or one with defaults for what that lacks."""
    return backend if isinstance(backend, Backend) else _Completed(backend)


class _Completed(Backend):
    """Another backend with the defaults of what it does not define."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.signature = backend.signature
        for name in ("concurrency", "import_stream", "empty_inputs", "profile"):
            if hasattr(backend, name):
                setattr(self, name, getattr(backend, name))

    def run(self, feeds: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any]:
        results: Sequence[Any] = self._backend.run(feeds, names)
        return results

    def report(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._backend.report()
        return facts

    def close(self) -> None:
        self._backend.close()
