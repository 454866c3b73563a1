"""A model on one GPU, with everything that runs it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import BackendError
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu._lanes import Group
from onepass.runtime.gpu.compute_queue import Lane
from onepass.runtime.gpu.passes import Passes
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.gpu.slots import HostSlot


class Gpu:
    """An open model on a GPU, and its lanes.

    Attributes:
        device: The GPU.
        import_stream: The stream that waits for arrays on the GPU.
        lanes: Its lanes.
    """

    def __init__(self, passes: Passes) -> None:
        """Create the first lanes."""
        self.device = passes.device
        self.import_stream = passes.import_stream
        self._passes = passes
        self.lanes: Group[Passing] = Group(passes.new_queue, limit=passes.limit)
        self.lanes.limit = passes.limit  # the first queue may have shown that there can be no other

    def __str__(self) -> str:
        return f"GPU {self.device.index} ({self.device.name})"

    def run(
        self, lane: Lane[Passing], feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None
    ) -> list[Array]:
        """Compute outputs from inputs on the host, in a lane of this GPU; see `Pass.run`."""
        previous = self.device.enter()
        try:
            return self._passes.of(lane, feeds).run(feeds, names, filled)
        finally:
            if previous is not None:
                self.device.leave(previous)

    def run_on_device(self, lane: Lane[Passing], feeds: Mapping[str, Feed], names: Sequence[str]) -> list[DeviceArray]:
        """Compute outputs that stay on this GPU; see `Pass.run_on_device`."""
        with self.device.current():
            return self._passes.of(lane, feeds).run_on_device(feeds, names, after=self.import_stream.number)

    def passing(self, lane: Lane[Passing], feeds: Mapping[str, Array]) -> Passing:
        """Return the pass for some inputs; the GPU must be current."""
        return self._passes.of(lane, feeds)

    def is_broken(self) -> bool:
        """Whether every request to the GPU fails, as after a fault in a computation."""
        try:
            self.device.memory_bytes()
        except BackendError:
            return True
        return False

    def report(self) -> dict[str, Any]:
        """Return the GPU, its memory, and how each set of input shapes runs there."""
        device, lanes = self.device, self.lanes
        report: dict[str, Any] = {
            "device": device.name,
            "device_index": device.index,
            "compute_capability": device.compute_capability,
            "driver_cuda_version": device.driver_version,
            "contexts": {"now": len(lanes.queues), "at_most": lanes.limit},
            "passes": [each.report() for each in lanes.ready()],
        }
        if lanes.is_open:
            free_bytes, total_bytes = device.memory_bytes()
            report["memory_bytes"] = {"free": free_bytes, "total": total_bytes}
            if self._passes.scratch_bytes is not None:
                report["memory_bytes"]["scratch"] = self._passes.scratch_bytes
        return report

    def close(self) -> None:
        """Free the model and its resources; results that are still referenced keep their memory."""
        with self.device.current():
            self.lanes.close()
            self._passes.close()
