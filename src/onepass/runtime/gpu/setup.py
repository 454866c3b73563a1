"""The seam between a frozen pass and what computes it: where tensors lie, and how the work is queued in a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

from onepass._errors import InputError
from onepass.engine.layers import Layer
from onepass.engine.plan import Edge
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu.layout import Place, Shape

_NONE: Mapping[str, Any] = MappingProxyType({})


class Setup(ABC):
    """One shape of inputs, set up to compute. What has a default is right for one whose tensors all lie on the GPU.

    Attributes:
        shapes: Of the inputs, by their names in the model.
        inputs: Those that lie in the GPU's memory, by name.
        outputs: All of them, by name.
        values: Copies of the inputs that lie on the host, by name, in the dtype that they are taken in.
        late: Outputs whose size is known only after the pass: what then says where one lies, and its shape, by name.
        on_host: Where outputs lie that are put on the host.
        in_places: Where the inputs lie in a block of memory.
        out_places: Where the outputs lie in another, but for `late` and `on_host`.
    """

    shapes: Mapping[str, Shape]
    inputs: Mapping[str, Edge]
    outputs: Mapping[str, Edge]
    values: Mapping[str, Array] = _NONE
    late: Mapping[str, Callable[[], tuple[int, Shape]]] = _NONE
    on_host: Mapping[str, Array] = _NONE
    in_places: Sequence[Place]
    out_places: Sequence[Place]

    @property
    def is_plain(self) -> bool:
        """Whether all outputs are just what lies in their block."""
        return len(self.out_places) == len(self.outputs) and not any(e.is_cast for e in self.outputs.values())

    @property
    def obstacle(self) -> str | None:
        """What stands against recording the pass, if anything is known to."""
        return None

    @property
    def is_current(self) -> bool:
        """Whether what computes is still as this pass needs it. Otherwise what was recorded with it is void."""
        return True

    def renew(self) -> None:  # noqa: B027 - right for one that serves this pass alone
        """Set it up again. Nothing of it may be running."""

    @abstractmethod
    def lie_at(self, inputs: int, outputs: int) -> None:
        """Say at which addresses the blocks of the inputs and the outputs begin."""

    @abstractmethod
    def enqueue(self, stream: int) -> None:
        """Queue the computation; the stream is the queue's own.

        Raises:
            BackendError: That cannot be done.
        """

    def refusal(self, stream: int) -> str | None:  # noqa: ARG002 - for those that can be asked
        """Say why the computation cannot be recorded, if that can be asked and is so."""
        return None

    def layers(self) -> list[Layer]:
        """List the layers, with the types that they have for these shapes, if any are known."""
        return []

    def watched_by(self, profiler: Any) -> AbstractContextManager[None]:  # noqa: ARG002 - likewise
        """Let a profiler be told how long each layer takes, within a block."""
        return nullcontext()

    def report(self) -> dict[str, Any]:
        """Say what is peculiar to this setup, as plain JSON values."""
        return {}

    def close(self) -> None:  # noqa: B027 - right for one that holds nothing
        """Let go of what it holds; nothing of it is running."""

    def check_stays(self, feeds: Mapping[str, Any], names: Sequence[str]) -> None:
        """Check that inputs on the GPU can be taken from there, and outputs stay there.

        Raises:
            InputError: One of them is held in another dtype, or on the host.
        """
        for name, feed in feeds.items():
            if isinstance(feed, DeviceArray) and (name in self.values or self.inputs[name].is_cast):
                where = "on the host" if name in self.values else f"as {self.inputs[name].carrier}"
                raise InputError(f"input {name!r}: the engine takes it {where}; give this one as a NumPy array")
        for name in names:
            if name in self.on_host or self.outputs[name].is_cast:
                where = "on the host" if name in self.on_host else f"as {self.outputs[name].carrier}"
                raise InputError(
                    f"output {name!r}: the engine gives it {where}, so it does not stay on the GPU as it is; ask for "
                    "the others with outputs=[...], or give the inputs as NumPy arrays"
                )
