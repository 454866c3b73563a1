"""The interface between a `Session`, which checks inputs, and the backend that computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import Signature

if TYPE_CHECKING:
    from onepass.engine.layers import TimedLayer


@runtime_checkable
class Backend(Protocol):
    """Executes one model. All arguments have been checked by the session.

    This is the minimum that a session requires. `BackendBase` has the optional methods, with defaults.
    """

    @property
    def signature(self) -> Signature:
        """Inputs and outputs in the model's order; constant."""

    def run(self, feeds: Mapping[str, Array], names: Sequence[str]) -> Sequence[Array]:
        """Compute the outputs `names`, in this order. Many threads may call this method concurrently.

        Args:
            feeds: One C-contiguous array per input, with the input's dtype and a valid shape.
            names: Names of outputs, in the model's order, without duplicates.

        Returns:
            One array per name, with the output's dtype. The arrays belong to the caller: they are never overwritten,
            and share no memory with `feeds`.

        Raises:
            BackendError: The computation failed.
        """

    def report(self) -> Mapping[str, Any]:
        """Return what runs the model: at least ``backend`` (its name) and ``device``; plain JSON values."""

    def close(self) -> None:
        """Free all resources. Running calls have finished, and the session makes no further calls."""


class BackendBase(ABC):
    """The complete interface of a backend. The defaults are right for backends with NumPy arrays only.

    Attributes:
        signature: See `Backend`.
        concurrency: Number of runs that execute concurrently, ≥ 1. Further calls wait.
        import_streams: CUDA streams that wait for arrays on the backend's GPUs, by GPU number. Such a backend accepts a
            `DeviceArray` for any input, and then returns `DeviceArray` objects. None means that GPU arrays are not
            supported.
        place: What runs the model, for messages of backends that do not support GPU arrays.
        survives_fork: Whether the backend still works in a forked process, where its threads are gone.
    """

    signature: Signature
    concurrency: int = 4
    import_streams: Mapping[int, Any] | None = None
    place: str = "the CPU"
    survives_fork: bool = True

    @abstractmethod
    def run(self, feeds: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any]:
        """Compute; see `Backend.run`."""

    @abstractmethod
    def report(self) -> Mapping[str, Any]:
        """Return what runs the model; see `Backend.report`."""

    @abstractmethod
    def close(self) -> None:
        """Free all resources; see `Backend.close`."""

    def empty_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return an array for every input, to fill and pass to `run`; it belongs to the caller.

        Args:
            shapes: A valid shape for each input, by name.
        """
        return {spec.name: np.empty(shapes[spec.name], spec.dtype) for spec in self.signature.inputs}

    def run_within(self, feeds: Mapping[str, Any], names: Sequence[str], seconds: float) -> Sequence[Any]:  # noqa: ARG002 - for backends that support it
        """Compute like `run`, but stop the run after a number of seconds.

        Raises:
            RunTimeoutError: The run was stopped.
            InputError: The backend does not support timeouts, or `seconds` is invalid.
        """
        raise InputError("timeout= is supported only for ONNX models on ONNX Runtime; omit it for this model")

    def stop(self, reason: str) -> None:  # noqa: B027 - right for backends that cannot stop runs
        """Stop running calls and let further ones fail, if the backend supports it.

        Args:
            reason: Message of their errors.
        """

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float] | None:  # noqa: ARG002 - for backends that support it
        """Run once and return the time of each part in milliseconds, with trtexec's names; None if not supported."""
        return None

    def profile_layers(self, feeds: Mapping[str, Array]) -> Sequence[TimedLayer] | None:  # noqa: ARG002 - likewise
        """Run several times and return the time of each layer; None if not supported."""
        return None


_OPTIONAL = (
    "concurrency",
    "import_streams",
    "place",
    "survives_fork",
    "empty_inputs",
    "profile",
    "profile_layers",
    "run_within",
    "stop",
)


def completed(backend: Backend) -> BackendBase:
    """Return a complete backend: the given one, or a wrapper with defaults for missing methods."""
    return backend if isinstance(backend, BackendBase) else _Completed(backend)


class _Completed(BackendBase):
    """Wraps a backend and adds defaults for what it does not define."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.signature = backend.signature
        for name in _OPTIONAL:
            if hasattr(backend, name):
                setattr(self, name, getattr(backend, name))

    def run(self, feeds: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any]:
        return self._backend.run(feeds, names)

    def report(self) -> Mapping[str, Any]:
        return self._backend.report()

    def close(self) -> None:
        self._backend.close()
