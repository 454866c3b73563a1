"""TensorRT's side of a pass: an execution context, set up for one set of input shapes and the pass's memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from onepass.engine.layers import Layer
from onepass.outputs import Array
from onepass.runtime.gpu.layout import Shape, arranged
from onepass.runtime.gpu.setup import Setup
from onepass.runtime.tensorrt._context import Context
from onepass.runtime.tensorrt._engine import Engine


class EngineSetup(Setup):
    """One set of input shapes on a context. If the context serves other passes, too, it must be set up again."""

    def __init__(
        self, engine: Engine, context: Context, shapes: Mapping[str, Shape], values: Mapping[str, Array]
    ) -> None:
        """Set a context up; see the attributes of `Setup`. Nothing of it may be running.

        Raises:
            InputError: TensorRT refuses the shapes.
        """
        self.shapes = dict(shapes)
        self.values = dict(values)
        self.inputs = {e.spec.name: e for e in engine.inputs if e.tensor not in engine.host_tensors}
        self.outputs = {edge.spec.name: edge for edge in engine.outputs}
        self.in_places = arranged((name, e.carrier, shapes[name]) for name, e in self.inputs.items())
        self._engine = engine
        self._context = context
        found = self._set_shapes()
        tensors = {name: edge.tensor for name, edge in self.outputs.items() if found[edge.tensor] is None}
        self.late = {name: partial(context.allocated, tensor) for name, tensor in tensors.items()}
        known = [(edge, found[edge.tensor] or ()) for name, edge in self.outputs.items() if name not in self.late]
        self.on_host = {e.spec.name: np.zeros(s, e.carrier) for e, s in known if e.tensor in engine.host_tensors}
        self.out_places = arranged(
            (edge.spec.name, edge.carrier, shape) for edge, shape in known if edge.tensor not in engine.host_tensors
        )
        self._addresses: dict[str, int] = {}

    @property
    def obstacle(self) -> str | None:
        """Why the pass cannot be recorded, if this is known."""
        if self._engine.streams_weights:
            return "the weights are streamed"
        if self._engine.control_flow:
            return "it has branches or loops, which TensorRT decides on the host"
        if self.late:
            return f"the size of {', '.join(sorted(self.late))} depends on the data"
        if self.on_host:
            return f"{', '.join(self.on_host)} is in host memory"
        return None

    @property
    def is_current(self) -> bool:
        """Whether the context is still as this pass needs it."""
        return self._context.turn == self._turn

    def renew(self) -> None:
        """Set the context up again. Nothing of it may be running."""
        self._set_shapes()

    def lie_at(self, inputs: int, outputs: int) -> None:
        """Set the addresses at which the input block and the output block begin."""
        # An input and an output may have one name in the model; the engine's tensors have names of their own.
        self._addresses = {self.inputs[place.name].tensor: inputs + place.offset for place in self.in_places}
        self._addresses |= {self.outputs[place.name].tensor: outputs + place.offset for place in self.out_places}
        self._addresses |= {self.outputs[name].tensor: array.ctypes.data for name, array in self.on_host.items()}

    def enqueue(self, stream: int) -> None:
        """Queue the computation."""
        self._context.bind(self._addresses, [self.outputs[name].tensor for name in sorted(self.late)])
        self._context.enqueue(stream)

    def refusal(self, stream: int) -> str | None:
        """Return why TensorRT cannot record the computation, if it reports a reason."""
        if self._context.is_recordable(stream):
            return None
        return "TensorRT says that this engine cannot be recorded for these shapes"

    def layers(self) -> list[Layer]:
        """List the engine's layers with their types for these shapes."""
        return self._context.layers()

    def watched_by(self, profiler: Any) -> AbstractContextManager[None]:
        """Report each layer's time to a profiler within a `with` block; see `Context.watched_by`."""
        return self._context.watched_by(profiler)

    def report(self) -> dict[str, Any]:
        """Return the optimisation profile that the shapes belong to."""
        return {"profile": self._context.profile}

    def _set_shapes(self) -> dict[str, Shape | None]:
        shapes = {edge.tensor: self.shapes[name] for name, edge in self.inputs.items()}
        values = {e.tensor: self.values[e.spec.name] for e in self._engine.inputs if e.spec.name in self.values}
        found = self._context.set_shapes(shapes, values)
        self._turn = self._context.turn
        return found
