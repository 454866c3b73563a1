"""Reference results: the framework's own outputs, for comparison with the ONNX model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from onepass._errors import ConversionError, OnepassError
from onepass.outputs import Array
from onepass.sampling import edge_inputs
from onepass.source._samples import Samples, gist
from onepass.source.framework import Trained
from onepass.tensors import shape_text


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs, and the framework's outputs for them.

    Attributes:
        name: Name for reports: ``random 1``, ``zeros``.
        inputs: One array for each input, by name.
        outputs: One array for each output, by name.
    """

    name: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __repr__(self) -> str:
        return f"Case({self.name}: {', '.join(self.inputs)} -> {', '.join(self.outputs)})"


def reference_cases(trained: Trained, samples: Samples, *, batch: int | None = None) -> Iterator[Case]:
    """Run a network on its examples, on random and extreme inputs, and in batches of 1 and 3 if the batch is dynamic.

    Extreme inputs are used only if the network accepts them and its outputs are stable there.

    Args:
        trained: The network.
        samples: Its inputs.
        batch: An additional batch size to run, if the batch is dynamic.

    Raises:
        ConversionError: The framework cannot run the network, or computed outputs contradict the declared ones.
    """
    if samples.examples.keys() >= set(trained.signature.input_names):
        yield _case(trained, "the example", dict(samples.examples))
    drawn = [samples.drawn(seed) for seed in range(2)]
    yield from (_case(trained, f"random {seed}", inputs) for seed, inputs in enumerate(drawn))
    kept = samples.kept(0)
    for name, inputs in edge_inputs(drawn[0]):
        outputs = _steady_outputs(trained, inputs | kept)
        if outputs is not None:
            yield _checked(trained, Case(name, inputs | kept, outputs))
    if samples.has_free_batch:
        for items in sorted({1, 3, batch or 1}):
            yield _case(trained, f"batch of {items}", samples.drawn(items, batch=items))


def _steady_outputs(trained: Trained, inputs: dict[str, Array]) -> dict[str, Array] | None:
    """Return the outputs for extreme inputs; None if the network rejects them or its outputs are unstable there.

    If outputs jump when the inputs hardly change (at ties in an argmax, for example), no result is the correct one.
    """
    rng = np.random.default_rng(0)
    nudged = {name: _nudged(array, rng) for name, array in inputs.items()}
    try:
        before, after = (
            {name: np.asarray(array) for name, array in trained.run(each).items()} for each in (inputs, nudged)
        )
    except Exception:  # noqa: BLE001 - whatever the framework raises
        return None
    return before if all(_is_near(array, after[name]) for name, array in before.items()) else None


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind not in "fc":
        return array
    # NumPy itself has no machine limits for small types such as float8.
    eps = float(ml_dtypes.finfo(array.dtype).eps)  # type: ignore[no-untyped-call]
    step = 4 * eps * np.maximum(np.abs(array), 1)
    nudged: Array = (array + step * rng.standard_normal(array.shape)).astype(array.dtype)
    return nudged


def _is_near(before: Array, after: Array) -> bool:
    if before.shape != after.shape:
        return False
    if before.dtype.kind not in "fc":
        return bool(np.array_equal(before, after))
    finite = np.isfinite(before)
    scale = max(1.0, float(np.abs(before[finite]).max(initial=0)))
    return bool(np.allclose(before, after, rtol=1e-3, atol=1e-3 * scale, equal_nan=True))


def _case(trained: Trained, name: str, inputs: dict[str, Array]) -> Case:
    try:
        outputs = {key: np.asarray(array) for key, array in trained.run(inputs).items()}
    except OnepassError:
        raise
    except Exception as error:
        raise ConversionError(f"{trained.framework} cannot run the network on {name}: {gist(error)}") from error
    return _checked(trained, Case(name, inputs, outputs))


def _checked(trained: Trained, case: Case) -> Case:
    """Return the case if its outputs match the declared ones."""
    for spec in trained.signature.outputs:
        found = case.outputs.get(spec.name)
        if found is None or found.dtype != spec.dtype or not spec.allows(found.shape):
            came = "nothing" if found is None else f"{found.dtype} {shape_text(found.shape)}"
            raise ConversionError(
                f"{trained.framework} computed {came} for output {spec.name!r}, which the source declares as {spec}"
            )
    return case
