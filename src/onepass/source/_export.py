"""What a framework's process hands over: the raw ONNX model, and what the framework itself computed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from onepass._errors import ConversionError, OnepassError, UnsupportedModelError
from onepass.outputs import Array
from onepass.sampling import edge_inputs, random_inputs
from onepass.source.framework import Trained
from onepass.tensors import Signature, TensorSpec, shape_text

_MODEL, _FACTS = "model.onnx", "harvest.json"


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs, and the outputs that the framework computes from them.

    Attributes:
        name: What to call it in a report: ``random 1``, ``zeros``.
        inputs: One array for each input, by name.
        outputs: One array for each output, by name.
    """

    name: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __repr__(self) -> str:
        return f"Case({self.name}: {', '.join(self.inputs)} -> {', '.join(self.outputs)})"


@dataclass(frozen=True, slots=True)
class Harvest:
    """All that is needed of a framework; what comes after happens without it.

    Attributes:
        framework: Its name and version.
        signature: Inputs and outputs as the source declares them.
        model: The network as the framework exports it.
        cases: What it computes; none if that was not asked for.
    """

    framework: str
    signature: Signature
    model: onnx.ModelProto
    cases: tuple[Case, ...]

    def save(self, folder: Path) -> None:
        """Write everything into a folder; `load` reads it back, without executing anything."""
        large = self.model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF
        onnx.save_model(self.model, str(folder / _MODEL), save_as_external_data=large, location=f"{_MODEL}.data")
        for index, case in enumerate(self.cases):
            for kind, specs, arrays in (
                ("inputs", self.signature.inputs, case.inputs), ("outputs", self.signature.outputs, case.outputs)
            ):  # fmt: skip
                np.savez(folder / f"{index}.{kind}.npz", *(arrays[spec.name] for spec in specs))
        facts = {
            "framework": self.framework,
            "signature": self.signature.to_json(),
            "cases": [case.name for case in self.cases],
        }
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Harvest:
        """Read what `save` wrote."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        signature = Signature.from_json(facts["signature"])
        return cls(
            facts["framework"],
            signature,
            onnx.load_model(str(folder / _MODEL)),
            tuple(
                Case(
                    name,
                    _arrays(folder / f"{index}.inputs.npz", signature.inputs),
                    _arrays(folder / f"{index}.outputs.npz", signature.outputs),
                )
                for index, name in enumerate(facts["cases"])
            ),
        )


def harvest(trained: Trained, *, opset: int, verify: bool) -> Harvest:
    """Export a network, and run it in its own framework on random and extreme inputs.

    Raises:
        ConversionError: The framework does not keep to what it declares.
        UnsupportedModelError: It cannot be exported, or has an input of no known rank.
    """
    for spec in trained.signature.inputs:
        if spec.shape is None:
            raise UnsupportedModelError(
                f"the source does not say how many dimensions its input {spec.name!r} has, which ONNX asks for; export "
                "it again with shapes (a graph of TensorFlow 1: as_graph_def(add_shapes=True), or as a SavedModel)"
            )
    model = trained.export(opset)
    cases = tuple(_cases(trained)) if verify else ()
    return Harvest(f"{trained.framework} {trained.version}", trained.signature, model, cases)


def _cases(trained: Trained) -> Iterator[Case]:
    if trained.examples:
        yield _case(trained, "the example", dict(trained.examples))
    drawn = [_drawn(trained, seed) for seed in range(2)]
    yield from (_case(trained, f"random {seed}", inputs) for seed, inputs in enumerate(drawn))
    kept = _drawn_from_examples(trained, 0, trained.shapes)
    for name, inputs in edge_inputs(drawn[0]):
        outputs = _steady_outputs(trained, inputs | kept)
        if outputs is not None:
            yield _checked(trained, Case(name, inputs | kept, outputs))
    if has_free_batch(trained.signature):
        for batch in (1, 3):
            yield _case(trained, f"batch of {batch}", _drawn(trained, batch, batch=batch))


def has_free_batch(signature: Signature) -> bool:
    """Whether the first size of every input is dynamic."""
    return bool(signature.inputs) and all(
        spec.shape and not isinstance(spec.shape[0], int) for spec in signature.inputs
    )


def _drawn(trained: Trained, seed: int, *, batch: int | None = None) -> dict[str, Array]:
    specs = []
    for spec in trained.signature.inputs:
        shape = trained.shapes[spec.name]
        specs.append(replace(spec, shape=shape if batch is None else (batch, *shape[1:])))
    inputs = random_inputs(Signature(tuple(specs), ()), seed=seed)
    return inputs | _drawn_from_examples(trained, seed, {name: array.shape for name, array in inputs.items()})


def _drawn_from_examples(trained: Trained, seed: int, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return whole numbers and truth values as the examples have them, item by item.

    They may be places in a table, lengths, masks that must leave something over: random ones would mean nothing.
    """
    examples = {name: array for name, array in trained.examples.items() if array.dtype.kind in "iub" and array.size}
    return {
        name: array if not array.ndim else np.take(array, seed + np.arange(shapes[name][0]), axis=0, mode="wrap")
        for name, array in examples.items()
    }


def _steady_outputs(trained: Trained, inputs: dict[str, Array]) -> dict[str, Array] | None:
    """Return what a network computes from extreme inputs; None if it does not run on them, or if its outputs jump.

    Where they jump when the inputs hardly change (it takes the greatest of equal numbers, say), no one is right.
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
    step = 4 * np.finfo(array.dtype).eps * np.maximum(np.abs(array), 1)
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
        what = f"{type(error).__name__}: {error}"
        raise ConversionError(f"{trained.framework} cannot run the network on {name}: {what}") from error
    return _checked(trained, Case(name, inputs, outputs))


def _checked(trained: Trained, case: Case) -> Case:
    """Return the case, if its outputs are what the source declares."""
    for spec in trained.signature.outputs:
        found = case.outputs.get(spec.name)
        if found is None or found.dtype != spec.dtype or not spec.allows(found.shape):
            came = "nothing" if found is None else f"{found.dtype} {shape_text(found.shape)}"
            raise ConversionError(
                f"{trained.framework} gave {came} for output {spec.name!r}, which the source declares as {spec}"
            )
    return case


def _arrays(file: Path, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    with np.load(file, allow_pickle=False) as arrays:
        # NumPy's files know bfloat16 and float8 as so many bytes.
        return {spec.name: arrays[f"arr_{index}"].view(spec.dtype) for index, spec in enumerate(specs)}
