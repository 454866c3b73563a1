"""The interface between a frozen pass and what computes it: memory layout, and how work is queued in a stream."""

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
    """One set of input shapes, ready to compute. The defaults are right if all tensors are on the GPU.

    Attributes:
        shapes: Input shapes, by name in the model.
        inputs: Inputs in GPU memory, by name.
        outputs: All outputs, by name.
        values: Copies of the inputs on the host, by name, in the engine's dtype.
        late: Outputs with data-dependent sizes, by name: functions that return address and shape after the pass.
        on_host: Outputs on the host, by name.
        in_places: Layout of the inputs in a block of memory.
        out_places: Layout of the outputs in another block, without `late` and `on_host`.
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
        """Whether all outputs are in their block, in the model's dtypes."""
        return len(self.out_places) == len(self.outputs) and not any(e.is_cast for e in self.outputs.values())

    @property
    def obstacle(self) -> str | None:
        """Why the pass cannot be recorded, if this is known."""
        return None

    @property
    def is_current(self) -> bool:
        """Whether the setup is still valid for this pass; otherwise its recordings are invalid."""
        return True

    def renew(self) -> None:  # noqa: B027 - right if it serves only this pass
        """Set it up again; it must not be running."""

    @abstractmethod
    def lie_at(self, inputs: int, outputs: int) -> None:
        """Set the start addresses of the input block and the output block."""

    @abstractmethod
    def enqueue(self, stream: int) -> None:
        """Queue the computation in the queue's own stream.

        Raises:
            BackendError: The computation cannot be queued.
        """

    def refusal(self, stream: int) -> str | None:  # noqa: ARG002 - for setups that can tell
        """Return why the computation cannot be recorded, if the setup can tell."""
        return None

    def layers(self) -> list[Layer]:
        """List the layers with their types for these shapes, if known."""
        return []

    def watched_by(self, profiler: Any) -> AbstractContextManager[None]:  # noqa: ARG002 - likewise
        """Attach a profiler that receives the time of each layer, within a block."""
        return nullcontext()

    def report(self) -> dict[str, Any]:
        """Return facts about this setup as plain JSON values."""
        return {}

    def close(self) -> None:  # noqa: B027 - right for setups without resources
        """Free its resources; it must not be running."""

    def check_stays(self, feeds: Mapping[str, Any], names: Sequence[str]) -> None:
        """Check that inputs can be read from the GPU, and that outputs can stay there.

        Raises:
            InputError: The engine needs an input, or returns an output, in another dtype or on the host.
        """
        for name, feed in feeds.items():
            if isinstance(feed, DeviceArray) and (name in self.values or self.inputs[name].is_cast):
                where = "on the host" if name in self.values else f"as {self.inputs[name].carrier}"
                raise InputError(f"input {name!r}: the engine needs it {where}; pass it as a NumPy array")
        for name in names:
            if name in self.on_host or self.outputs[name].is_cast:
                where = "on the host" if name in self.on_host else f"as {self.outputs[name].carrier}"
                raise InputError(
                    f"output {name!r}: the engine returns it {where}, so it cannot stay on the GPU; request only other "
                    "outputs with outputs=[...], or pass the inputs as NumPy arrays"
                )
