"""What runs the calls of one shape of inputs: a frozen pass, or the model as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu.slots import HostSlot

Feed: TypeAlias = "Array | DeviceArray"


class Passing(Protocol):
    """Runs one shape of inputs in one lane, whose holder alone calls it; the GPU must be current."""

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None = None) -> list[Array]:
        """Compute outputs from inputs on the host.

        Args:
            feeds: The inputs.
            names: The outputs that are wanted.
            filled: The slot on which all of the inputs lie already, if they do.
        """

    def run_on_device(self, feeds: Mapping[str, Feed], names: Sequence[str], *, after: int) -> list[DeviceArray]:
        """Compute outputs from inputs of which at least one is on the GPU; the outputs stay there.

        Args:
            feeds: The inputs.
            names: The outputs that are wanted.
            after: The stream on which the inputs become complete.
        """

    def timed(self, feeds: Mapping[str, Array]) -> dict[str, float] | None:
        """Run once and say what took how long; None where that cannot be told."""

    def report(self) -> dict[str, Any]:
        """Say which shapes it is for and how it runs, as plain JSON values."""

    def close(self) -> None:
        """Let go of what it holds; results that are still held keep their memory."""
