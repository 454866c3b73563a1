"""Where an engine's time goes: each layer, with its types, its share, and the outputs that need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onepass._errors import InputError, UnsupportedModelError
from onepass.bench._bench import machine
from onepass.bench._inputs import batch_inputs, batch_of
from onepass.engine.layers import TimedLayer
from onepass.opening import ModelChoice
from onepass.outputs import Array

SHARED = "several"
"""Stands for the layers that more than one output needs, in sums over outputs."""


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """What `measure_layers` measured.

    Attributes:
        model: What the engine is called.
        batch: Items in one pass.
        layers: The layers in the order in which they ran; medians of 20 passes.
        report: What runs the engine: the session's own report.
        machine: Processor, cores, system and versions.
    """

    model: str
    batch: int
    layers: tuple[TimedLayer, ...]
    report: Mapping[str, Any]
    machine: Mapping[str, Any]

    @property
    def milliseconds(self) -> float:
        """What all layers take together; more than a pass does, since TensorRT waits after each."""
        return sum(each.milliseconds for each in self.layers)

    def share(self, layer: TimedLayer) -> float:
        """What part of the time a layer takes, from 0 to 1."""
        return layer.milliseconds / self.milliseconds if self.milliseconds else 0.0

    def by_output(self) -> dict[str, float]:
        """Return the milliseconds of the layers that one output alone needs, by output, and of those shared.

        It tells what leaving an output out would save. Layers of which TensorRT does not say whom they serve are not
        in it.
        """
        sums: dict[str, float] = {}
        for each in self.layers:
            if each.outputs:
                name = each.outputs[0] if len(each.outputs) == 1 else SHARED
                sums[name] = sums.get(name, 0.0) + each.milliseconds
        return sums

    def by_types(self) -> dict[str, float]:
        """Return the milliseconds by the types that layers read and make, ``"fp16"`` or ``"fp16 fp32"``."""
        sums: dict[str, float] = {}
        for each in self.layers:
            types = types_text(each)
            sums[types] = sums.get(types, 0.0) + each.milliseconds
        return sums

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "machine": dict(self.machine), "model": self.model, "batch": self.batch, **self.report,
            "milliseconds": self.milliseconds, "by_output": self.by_output(), "by_types": self.by_types(),
            "layers": [
                {
                    "name": each.layer.name, "kind": each.layer.kind, "types": list(each.layer.types),
                    "milliseconds": each.milliseconds, "share": self.share(each), "outputs": list(each.outputs),
                }
                for each in self.layers
            ],
        }  # fmt: skip


def types_text(layer: TimedLayer) -> str:
    """Return the types of a layer in one text; a dash where they are not known."""
    return " ".join(layer.layer.types) or "–"


def measure_layers(
    model: Any,
    *,
    batch: int = 1,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    inputs: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> LayerTimes:
    """Measure how long each layer of an engine takes.

    Args:
        model: Path, plan, session or `ModelChoice` of an engine.
        batch: Items in one pass, of random inputs.
        sizes: Sizes of other dynamic dimensions, by name.
        shapes: Whole shapes of inputs, by name.
        inputs: What to run with, in place of random inputs.
        seed: Of random inputs.

    Raises:
        UnsupportedModelError: What runs the model does not know its layers: it is no engine.
        InputError: The engine was not built for such inputs.
        ModelError, BackendError: It does not open or run.
    """
    choice = model if isinstance(model, ModelChoice) else ModelChoice(model)
    if inputs is not None and (batch != 1 or sizes or shapes):
        raise InputError("inputs= has sizes of its own; leave batch=, sizes= and shapes= out")
    with choice.opened() as session:
        feeds = inputs
        if feeds is None:
            feeds = batch_inputs(session.signature, batch, sizes=sizes, shapes=shapes, seed=seed)
        layers = session.profile_layers(feeds)
        if layers is None:
            raise UnsupportedModelError(
                f"{choice} is no TensorRT engine; only of those the time of each layer is known"
            )
        return LayerTimes(str(choice), batch_of(feeds), tuple(layers), session.report(), machine())
