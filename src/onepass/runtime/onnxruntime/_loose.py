"""Calls to a GPU session that cannot be frozen: ONNX Runtime runs them itself, one after the other."""

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
    """A `Passing` that leaves copies and memory to ONNX Runtime."""

    def __init__(
        self, session: CudaSession, lane: Lane[Passing], shapes: Mapping[str, Shape], *, runs: Runs, run: HostRun,
        because: str,
    ) -> None:  # fmt: skip
        """Create a pass for one set of input shapes.

        Args:
            session: The session that computes.
            lane: The lane that the pass runs in.
            shapes: Input shapes, by name.
            runs: The runs of the backend, which can be stopped.
            run: Runs a session with arrays on the host.
            because: Why the pass cannot be frozen.
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
            names: The requested outputs.
            filled: Ignored: ONNX Runtime copies the inputs itself.
            options: Run options that stop only this run; by default, those of all runs.
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
            InputError: A requested output holds strings, which cannot be on a GPU.
        """
        session, lane = self._session, self._lane
        for name in names:
            if session.outputs[name].spec.dtype == STRING:
                raise InputError(f"output {name!r} holds strings, which stay on the host; give all inputs there")
        lane.begin()
        with lane.queue.lock:
            lane.queue.settle()
            session.stream.wait_for(after)
            session.stream.synchronize()  # binding copies the inputs that ONNX Runtime needs on the host
            values = session.run(feeds, names, self._runs)
            # The results are copied, because recorded passes with other shapes compute in the same ONNX Runtime memory.
            dtypes = [session.outputs[name].carrier for name in names]
            results = [
                copied_result(value.data_ptr(), tuple(value.shape()), dtype, session.stream, session.device)
                for value, dtype in zip(values, dtypes, strict=True)
            ]
            session.stream.synchronize()
        lane.finish()
        return results

    def timed(self, feeds: Mapping[str, Array]) -> None:
        """Return None: the times of the parts of such a run are not known."""

    def report(self) -> dict[str, Any]:
        """Return the input shapes, and why the pass is not frozen."""
        shapes = {name: list(shape) for name, shape in self._shapes.items()}
        return {"shapes": shapes, "recorded": False, "eager_because": self._because}

    def close(self) -> None:
        """Do nothing: the pass owns no resources."""
