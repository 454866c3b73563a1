"""A backend whose calls are frozen passes on NVIDIA GPUs, whatever computes them."""

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
    """Runs a model on one GPU or several.

    Calls of several threads run side by side, each in a lane of its own, as long as there are any on any GPU.

    Attributes:
        signature: The model's inputs and outputs.
        import_streams: Where arrays on a GPU are waited for, by its number.
    """

    survives_fork = False

    def __init__(self, passes: Sequence[Passes], kept: KeptMemory) -> None:
        """Run what is open already.

        Args:
            passes: The model, open on each GPU.
            kept: What memory results lie in.
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
        """Compute the outputs called `names`; see `Backend.run`. If an input is on a GPU, the outputs are there too."""
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
            # In one call of C, before anything in which a signal handler may raise.
            if held:
                held[0].home.extend(held)
                self._lanes.tell()

    def empty_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return arrays of these shapes for all inputs, which need no copy on the host when they are given."""
        given = self._lent.give(shapes) if self._lent else None
        return given if given is not None else super().empty_inputs(shapes)

    def profile(self, feeds: Mapping[str, Array]) -> Mapping[str, float] | None:
        """Run once and return the milliseconds of its parts: copies, computation, enqueueing; trtexec's names."""
        with self._pass_for(feeds) as passing:
            return passing.timed(feeds)

    def report(self) -> Mapping[str, Any]:
        """Name the GPUs, and say how each shape of inputs runs.

        Of several GPUs each has an entry of ``devices``, and what there is once only is said of the first.
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
        """Free the model and all it runs with; results that are still held keep their memory."""
        if self._lent:
            self._lent.close()
        for gpu in self._gpus.values():
            gpu.close()

    def _gpu_of(self, feeds: Mapping[str, Feed]) -> Gpu:
        """Return the GPU that the inputs lie on, but for those on the host."""
        on = {name: feed.device for name, feed in feeds.items() if isinstance(feed, DeviceArray)}
        if len(set(on.values())) > 1:
            listed = ", ".join(f"{name!r} on GPU {number}" for name, number in on.items())
            raise InputError(f"a call runs on one GPU, and its inputs lie on several: {listed}; move them to one")
        return self._numbers[next(iter(on.values()))]

    @contextmanager
    def _pass_for(self, feeds: Mapping[str, Array]) -> Iterator[Passing]:
        """Lend the pass for some inputs, for what measures it."""
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
    """Return the numbers of the GPUs that are meant."""
    checked = checked_devices(devices)
    if checked == "all":
        return range(device_count())
    return (checked,) if isinstance(checked, int) else checked
