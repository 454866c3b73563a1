"""Common base of the backends that run frozen passes on NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from onepass._errors import BackendError, InputError
from onepass.outputs import Array
from onepass.runtime.backend import BackendBase
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.driver import device_count
from onepass.runtime.gpu._gpu import Gpu
from onepass.runtime.gpu._lanes import Lanes
from onepass.runtime.gpu._lent import LentInputs
from onepass.runtime.gpu.budget import KeptMemory
from onepass.runtime.gpu.compute_queue import Lane
from onepass.runtime.gpu.passes import Passes
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.spec import Devices, checked_devices
from onepass.tensors import STRING


class GpuBackend(BackendBase):
    """Runs a model on one or several GPUs.

    Calls from several threads run concurrently, each in its own lane, while any GPU has a free lane.

    Attributes:
        signature: The model's inputs and outputs.
        import_streams: Streams that wait for arrays on a GPU, by GPU number.
    """

    survives_fork = False

    def __init__(self, passes: Sequence[Passes], kept: KeptMemory) -> None:
        """Create a backend for an open model.

        Args:
            passes: The model, open on each GPU.
            kept: Memory for results.
        """
        self._kept = kept
        gpus = [Gpu(each) for each in passes]
        first = passes[0]
        self._gpus = {gpu.lanes: gpu for gpu in gpus}
        self._numbers = {gpu.device.index: gpu for gpu in gpus}
        self._lanes: Lanes[Passing] = Lanes([gpu.lanes for gpu in gpus])
        self.signature = first.signature
        self.import_streams = {gpu.device.index: gpu.import_stream for gpu in gpus}
        self.concurrency = sum(2 * gpu.lanes.limit for gpu in gpus)
        lendable = not any(
            edge.is_cast or edge.carrier == STRING or edge.spec.name in first.values for edge in first.inputs
        )
        dtypes = {edge.spec.name: edge.carrier for edge in first.inputs}
        self._lent = LentInputs(gpus[0].device, dtypes) if lendable else None

    def run(self, feeds: Mapping[str, Feed], names: Sequence[str]) -> Sequence[Any]:
        """Compute the outputs `names`; see `Backend.run`. If an input is on a GPU, the outputs stay there."""
        of: Gpu | None = None
        for feed in feeds.values():
            if type(feed) is DeviceArray:
                of = self._gpu_of(feeds)
                break
        held: list[Lane[Passing]] = []
        try:
            lane = self._lanes.take(held, of=None if of is None else of.lanes)
            if of is not None:
                return of.run_on_device(lane, feeds, names)
            lent = self._lent
            filled = lent.slot_of(feeds) if lent is not None and lent.is_used else None
            return self._gpus[lane.group].run(lane, feeds, names, filled)
        except BackendError as error:
            if len(self._gpus) == 1 or not held:
                raise
            gpu = self._gpus[held[0].group]
            if gpu.is_broken():
                gpu.lanes.is_open = False
            raise BackendError(f"{gpu}: {error}") from error
        finally:
            # A single C call, before any code in which a signal handler may raise.
            if held:
                held[0].home.extend(held)
                self._lanes.tell()

    def empty_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return arrays with these shapes for all inputs; passing them to a call saves a copy on the host."""
        given = self._lent.give(shapes) if self._lent else None
        return given if given is not None else super().empty_inputs(shapes)

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float] | None:
        """Run once and return the times of copies, computation and enqueueing in milliseconds, with trtexec's names."""
        with self._pass_for(feeds) as passing:
            return passing.timed(feeds)

    def report(self) -> Mapping[str, Any]:
        """Return the GPUs, and how each input shape runs.

        With several GPUs, each has an entry in ``devices``; the top level describes the first.
        """
        kept = self._kept.page_locked
        gpus = [gpu.report() for gpu in self._gpus.values()]
        report = {**gpus[0], "keep_bytes": {"limit": kept.limit_bytes, "used": kept.used_bytes}}
        if len(gpus) > 1:
            states = ("open" if gpu.lanes.is_open else "broken" for gpu in self._gpus.values())
            report["device"] = ", ".join(f"GPU {each['device_index']}: {each['device']}" for each in gpus)
            report["devices"] = [{**each, "state": state} for each, state in zip(gpus, states, strict=True)]
        return report

    def close(self) -> None:
        """Free the model and its resources; results that are still referenced keep their memory."""
        if self._lent:
            self._lent.close()
        for gpu in self._gpus.values():
            gpu.close()

    def _gpu_of(self, feeds: Mapping[str, Feed]) -> Gpu:
        """Return the GPU of the inputs that are not on the host."""
        on = {name: feed.device for name, feed in feeds.items() if isinstance(feed, DeviceArray)}
        if len(set(on.values())) > 1:
            listed = ", ".join(f"{name!r} on GPU {number}" for name, number in on.items())
            raise InputError(f"a call runs on one GPU, but its inputs are on several: {listed}; move them to one GPU")
        return self._numbers[next(iter(on.values()))]

    @contextmanager
    def _pass_for(self, feeds: Mapping[str, Array]) -> Iterator[Passing]:
        """Yield the pass for some inputs, for measurements."""
        held: list[Lane[Passing]] = []
        try:
            lane = self._lanes.take(held)
            gpu = self._gpus[lane.group]
            with gpu.device.current():
                yield gpu.passing(lane, feeds)
        finally:
            if held:
                held[0].home.extend(held)
                self._lanes.tell()


def device_numbers(devices: Devices) -> Sequence[int]:
    """Return the numbers of the selected GPUs."""
    checked = checked_devices(devices)
    if checked == "all":
        return range(device_count())
    return (checked,) if isinstance(checked, int) else checked
