"""The interface for running calls with one set of input shapes: as a frozen pass, or unfrozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu.slots import HostSlot

Feed: TypeAlias = "Array | DeviceArray"


class Passing(Protocol):
    """Runs one set of input shapes in one lane; only the lane's holder calls it, with the GPU current."""

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None = None) -> list[Array]:
        """Compute outputs from inputs on the host.

        Args:
            feeds: The inputs.
            names: The requested outputs.
            filled: The slot that already contains all inputs, if there is one.
        """

    def run_on_device(self, feeds: Mapping[str, Feed], names: Sequence[str], *, after: int) -> list[DeviceArray]:
        """Compute outputs that stay on the GPU; at least one input is there.

        Args:
            feeds: The inputs.
            names: The requested outputs.
            after: The stream on which the inputs become complete.
        """

    def timed(self, feeds: Mapping[str, Array]) -> dict[str, float] | None:
        """Run once and return the time of each part; None if not supported."""

    def report(self) -> dict[str, Any]:
        """Return the input shapes and how they run, as plain JSON values."""

    def close(self) -> None:
        """Free all resources; results that are still referenced keep their memory."""
