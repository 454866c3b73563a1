"""Calls of a session on a GPU that cannot be frozen: it runs by itself, one call after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.gpu.compute_queue import Lane
from onepass.runtime.gpu.device_results import copied_result
from onepass.runtime.gpu.layout import Shape
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.runtime.gpu.slots import HostSlot
from onepass.runtime.onnxruntime._binding import CudaSession
from onepass.runtime.onnxruntime._edges import HostRun
from onepass.runtime.onnxruntime._ending import RunOptions, Runs
from onepass.tensors import STRING


class LoosePass:
    """A `Passing` that leaves everything to ONNX Runtime."""

    def __init__(
        self, session: CudaSession, lane: Lane[Passing], shapes: Mapping[str, Shape], *, runs: Runs, run: HostRun,
        because: str,
    ) -> None:  # fmt: skip
        """Take a session.

        Args:
            session: What computes.
            lane: Where it runs.
            shapes: Of the inputs, by name.
            runs: What ends runs.
            run: Runs a session with arrays on the host.
            because: Why it cannot be frozen.
        """
        self._session, self._lane, self._shapes = session, lane, dict(shapes)
        self._runs, self._run, self._because = runs, run, because

    def run(
        self, feeds: Mapping[str, Feed], names: Sequence[str], filled: HostSlot | None = None,  # noqa: ARG002
        *, options: RunOptions | None = None,
    ) -> list[Array]:  # fmt: skip
        """Compute outputs from inputs on the host.

        Args:
            feeds: The inputs.
            names: The outputs that are wanted.
            filled: Of no use here: ONNX Runtime copies the inputs.
            options: What ends the run, if it is to be ended by itself.
        """
        self._lane.begin()
        with self._lane.queue.lock:
            self._lane.queue.settle()
            arrays: Any = feeds
            results = self._run(self._session.raw, arrays, names, options or self._runs.options)
        self._lane.finish()
        return results

    def run_on_device(self, feeds: Mapping[str, Feed], names: Sequence[str], *, after: int) -> list[DeviceArray]:
        """Compute outputs that stay on the GPU.

        Raises:
            InputError: One of them has no place there: it holds strings.
        """
        session, lane = self._session, self._lane
        for name in names:
            if session.outputs[name].spec.dtype == STRING:
                raise InputError(f"output {name!r} holds strings, which stay on the host; give all inputs there")
        lane.begin()
        with lane.queue.lock:
            lane.queue.settle()
            session.stream.wait_for(after)
            session.stream.synchronize()  # what ONNX Runtime wants on the host it copies while it is told of it
            values = session.run(feeds, names, self._runs)
            # ONNX Runtime's own memory is what recorded passes of other shapes compute in.
            dtypes = [session.outputs[name].carrier for name in names]
            results = [
                copied_result(value.data_ptr(), tuple(value.shape()), dtype, session.stream, session.device)
                for value, dtype in zip(values, dtypes, strict=True)
            ]
            session.stream.synchronize()
        lane.finish()
        return results

    def timed(self, feeds: Mapping[str, Array]) -> None:
        """Tell nothing: the parts of such a run are not known."""

    def report(self) -> dict[str, Any]:
        """Say which shapes it is for, and why they are not frozen."""
        shapes = {name: list(shape) for name, shape in self._shapes.items()}
        return {"shapes": shapes, "recorded": False, "eager_because": self._because}

    def close(self) -> None:
        """Hold nothing."""
