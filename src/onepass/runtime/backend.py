"""The seam between a `Session`, which checks, and what computes."""

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
    """Something that executes one model. The session in front of it has checked everything a backend is given.

    This is the least that a session takes. `BackendBase` has the rest, with defaults.
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


class BackendBase(ABC):
    """All that a session asks of a backend. What has a default is right for one that takes and gives NumPy arrays.

    Attributes:
        signature: As of `Backend`.
        concurrency: How many runs go on side by side, from 1 up. More threads may call, and wait.
        import_streams: The CUDA streams that wait for arrays on the backend's GPUs, by their numbers. A backend that
            has some takes a `DeviceArray` for any input, and then returns such; None where it takes none.
        place: What runs the model, for messages, where that takes no arrays on a GPU.
        survives_fork: Whether it still runs in a process that was forked from this one, where its threads are not.
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
        """Say what runs the model; see `Backend.report`."""

    @abstractmethod
    def close(self) -> None:
        """Free what the backend holds; see `Backend.close`."""

    def empty_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return an array for every input, to be filled and given to `run`; the caller's until it is gone.

        Args:
            shapes: The shape of each input, by name; one that the input allows.
        """
        return {spec.name: np.empty(shapes[spec.name], spec.dtype) for spec in self.signature.inputs}

    def run_within(self, feeds: Mapping[str, Any], names: Sequence[str], seconds: float) -> Sequence[Any]:  # noqa: ARG002 - for those that can
        """Compute as `run` does, but end the run if it is not done after so many seconds.

        Raises:
            RunTimeoutError: It was ended.
            InputError: The backend cannot end a run, or the number of seconds is none.
        """
        raise InputError(
            "timeout= is for ONNX models on ONNX Runtime: what runs this model cannot end a run; leave it out"
        )

    def stop(self, reason: str) -> None:  # noqa: B027 - right for those that cannot
        """End the runs under way and let further ones fail, if that can be done.

        Args:
            reason: What their errors say.
        """

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float] | None:  # noqa: ARG002 - for those that can
        """Run once and return the milliseconds of its parts, by trtexec's names; None where that cannot be told."""
        return None

    def profile_layers(self, feeds: Mapping[str, Array]) -> Sequence[TimedLayer] | None:  # noqa: ARG002 - likewise
        """Run some times and return how long each layer takes; None where that cannot be told."""
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
    """Return a backend that has everything: the one given, or one with defaults for what that lacks."""
    return backend if isinstance(backend, BackendBase) else _Completed(backend)


class _Completed(BackendBase):
    """Another backend with the defaults of what it does not define."""

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
