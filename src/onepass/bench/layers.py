"""Where an engine spends its time: each layer, with its types, its share, and the outputs that need it."""

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
"""Key of the layers that more than one output needs, in sums by output."""


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """The result of `measure_layers`.

    Attributes:
        model: The engine's label.
        batch: Items per pass.
        layers: The layers in execution order; times are medians of 20 passes.
        report: The session's own report on what runs the engine.
        machine: Processor, cores, system and versions.
    """

    model: str
    batch: int
    layers: tuple[TimedLayer, ...]
    report: Mapping[str, Any]
    machine: Mapping[str, Any]

    @property
    def milliseconds(self) -> float:
        """The sum over all layers. It exceeds the time of a pass, because TensorRT waits after each layer."""
        return sum(each.milliseconds for each in self.layers)

    def share(self, layer: TimedLayer) -> float:
        """Return a layer's share of the time, from 0 to 1."""
        return layer.milliseconds / self.milliseconds if self.milliseconds else 0.0

    def by_output(self) -> dict[str, float]:
        """Return the milliseconds of layers by the only output that needs them, and of layers that several need.

        The figures show what omitting an output would save. Layers that TensorRT cannot assign to an output are not
        included.
        """
        sums: dict[str, float] = {}
        for each in self.layers:
            if each.outputs:
                name = each.outputs[0] if len(each.outputs) == 1 else SHARED
                sums[name] = sums.get(name, 0.0) + each.milliseconds
        return sums

    def by_types(self) -> dict[str, float]:
        """Return the milliseconds by the types that layers read and write, ``"fp16"`` or ``"fp16 fp32"``."""
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
    """Return a layer's types as text; a dash if they are unknown."""
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
        batch: Batch size of the random inputs.
        sizes: Sizes of other dynamic dimensions, by name.
        shapes: Complete shapes of inputs, by name.
        inputs: Arrays to use in place of random inputs.
        seed: Seed of the random inputs.

    Raises:
        UnsupportedModelError: The model is not a TensorRT engine, so its layers cannot be timed.
        InputError: The engine was not built for such inputs.
        ModelError, BackendError: The engine does not open or run.
    """
    choice = model if isinstance(model, ModelChoice) else ModelChoice(model)
    if inputs is not None and (batch != 1 or sizes or shapes):
        raise InputError("inputs= already determines all sizes; omit batch=, sizes= and shapes=")
    with choice.opened() as session:
        feeds = inputs
        if feeds is None:
            feeds = batch_inputs(session.signature, batch, sizes=sizes, shapes=shapes, seed=seed)
        layers = session.profile_layers(feeds)
        if layers is None:
            raise UnsupportedModelError(f"{choice} is not a TensorRT engine; layers can be timed in engines only")
        return LayerTimes(str(choice), batch_of(feeds), tuple(layers), session.report(), machine())
