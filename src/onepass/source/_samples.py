"""What a network is run on to see what it computes: inputs that it brings or that are given, and others made up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onepass._errors import BackendError, ConversionError, InputError, OnepassError
from onepass._texts import text_array
from onepass.outputs import Array
from onepass.sampling import batch_axes, batch_names, input_shapes, random_inputs
from onepass.source.framework import Trained
from onepass.tensors import STRING, Signature, TensorSpec, no_such_name, shape_text

# Sizes that are tried in place of a dynamic one, from one that makes sense of a picture down to one that fits a short
# table; among them are such as can be divided by 3, 5 and 7.
_SIZES = (64, 60, 32, 28, 16, 10, 8, 6, 5, 4, 3, 2, 1)
# Whole numbers that are made up are below this: they may be places in a table, which can be short.
_LIMITS = (10, 2, 1)
_BATCHES = (2, 1)


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs that a network runs on, as many as one likes.

    Attributes:
        signature: The network's.
        shapes: For each input a shape that it takes.
        examples: Inputs that mean something, by name; empty if there are none.
        limit: What whole numbers are below that are made up.
        batch: How many items there are where inputs have any number.
    """

    signature: Signature
    shapes: Mapping[str, tuple[int, ...]]
    examples: Mapping[str, Array]
    limit: int = _LIMITS[0]
    batch: int = _BATCHES[0]

    @property
    def has_free_batch(self) -> bool:
        """Whether every input has any number of items, and the network runs on more than one."""
        names = batch_names(self.signature)
        inputs = self.signature.inputs
        return bool(inputs) and self.batch > 1 and all(batch_axes(spec, names) for spec in inputs)

    def drawn(self, seed: int, *, batch: int | None = None) -> dict[str, Array]:
        """Return random inputs; whole numbers and truth values are those of the examples, where there are any.

        Args:
            seed: The same seed gives the same arrays.
            batch: How many items, where the network takes any number.
        """
        names = batch_names(self.signature)
        specs = [
            replace(spec, shape=self._shape(spec, batch_axes(spec, names), batch)) for spec in self.signature.inputs
        ]
        inputs = {
            name: self._limited(array) for name, array in random_inputs(Signature(tuple(specs), ()), seed=seed).items()
        }
        return inputs | self.kept(seed, {name: array.shape for name, array in inputs.items()})

    def kept(self, seed: int, shapes: Mapping[str, Sequence[int]] | None = None) -> dict[str, Array]:
        """Return whole numbers and truth values as the examples have them, item by item.

        They may be places in a table, lengths, masks that must leave something over: random ones would mean nothing.
        """
        shapes = shapes or self.shapes
        names = batch_names(self.signature)
        kept = {}
        for spec in self.signature.inputs:
            array = self.examples.get(spec.name)
            if array is None or array.dtype.kind not in "iub" or not array.size:
                continue
            items = (batch_axes(spec, names) or (0,))[0]
            for axis, size in enumerate(shapes[spec.name]):
                places = np.arange(size) + (seed if axis == items else 0)
                array = np.take(array, places, axis=axis, mode="wrap")
            kept[spec.name] = array
        return kept

    def _shape(self, spec: TensorSpec, axes: Sequence[int], batch: int | None) -> tuple[int, ...]:
        shape = self.shapes[spec.name]
        return tuple(batch if batch is not None and axis in axes else size for axis, size in enumerate(shape))

    def _limited(self, array: Array) -> Array:
        """Keep whole numbers below the limit, with the greatest among them, so that none is worse than those tried."""
        if array.dtype.kind not in "iu" or array.dtype == np.uint8:
            return array
        limited: Array = (array % array.dtype.type(self.limit)).astype(array.dtype)
        limited.reshape(-1)[:1] = self.limit - 1
        return limited


def samples_of(trained: Trained, given: Any = None) -> Samples:
    """Find inputs that a network runs on.

    Args:
        trained: The network; what it brings along comes first.
        given: Inputs that the user has: an array, several in their order, or a mapping by name, perhaps without some.

    Raises:
        InputError: What is given does not fit.
        ConversionError: What is missing was made up, in many ways, and the network ran on none of them.
    """
    signature = trained.signature
    examples = trained.examples or dict(_named(given, signature))
    first: Exception | None = None
    for samples in _made_up(signature, examples):
        if examples.keys() >= set(signature.input_names):
            return samples
        try:
            trained.run(samples.drawn(0))
        except Exception as error:  # whatever the framework raises
            if isinstance(error, OnepassError) and not isinstance(error, BackendError):
                raise
            first = first or error
        else:
            return samples
    raise ConversionError(_complaint(trained, signature, examples, first)) from first


def _made_up(signature: Signature, examples: Mapping[str, Array]) -> Iterator[Samples]:
    """Yield samples of ever smaller sizes and numbers; the same never twice."""
    shapes = {name: array.shape for name, array in examples.items()}
    has_places = any(
        spec.dtype.kind in "iu" and spec.dtype != np.uint8 and spec.name not in examples for spec in signature.inputs
    )
    before: list[dict[str, tuple[int, ...]]] = []
    for batch in _BATCHES:
        for size in _SIZES:
            found = input_shapes(signature, shapes=shapes, batch=batch, other=size)
            if found in before:
                continue
            before.append(found)
            for limit in _LIMITS if has_places else _LIMITS[:1]:
                yield Samples(signature, found, examples, limit, batch)


def _named(given: Any, signature: Signature) -> Iterator[tuple[str, Array]]:
    """Yield inputs that are given by name, if they fit."""
    names = signature.input_names
    if given is None:
        return
    if not isinstance(given, Mapping):
        several = given if isinstance(given, (list, tuple)) else (given,)
        if len(several) > len(names):
            raise InputError(f"example_inputs has {len(several)} arrays for {len(names)} inputs: {', '.join(names)}")
        given = dict(zip(names, several, strict=False))
    specs = {spec.name: spec for spec in signature.inputs}
    for name, value in given.items():
        if name not in specs:
            raise InputError(f"example_inputs: {no_such_name('input', name, names)}")
        spec = specs[name]
        array = np.asarray(value, STRING if spec.dtype == STRING and not isinstance(value, np.ndarray) else None)
        if spec.dtype == STRING:
            array = text_array(array, name)
        if array.dtype != spec.dtype or not spec.allows(array.shape):
            raise InputError(
                f"example_inputs: input {name!r} is {spec}, got {array.dtype} {shape_text(array.shape)}; give an array "
                "of that dtype and shape"
            )
        yield name, array


def _complaint(trained: Trained, signature: Signature, examples: Mapping[str, Array], error: Exception | None) -> str:
    made = [spec for spec in signature.inputs if spec.name not in examples]
    example = ", ".join(f"{spec.name!r}: …" for spec in made)
    return (
        f"{trained.framework} cannot run the network on inputs that were made up, of sizes from {_SIZES[0]} down "
        f"({', '.join(f'{spec.name} is {spec}' for spec in made)}): {gist(error)}. Give inputs that it runs on: "
        f"example_inputs={{{example}}}"
    )


def gist(error: Exception | None) -> str:
    """Return the line that says what was wrong, with the error's kind; TensorFlow says first where it was."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    noise = ("File ", "Detected at node", "Graph execution error", "[[", "Exception encountered when calling")
    said = [line for line in lines if line and not line.startswith(noise)]
    what = (said or [line for line in lines if line] or ["no reason given"])[0][:300]
    return what if isinstance(error, OnepassError) else f"{type(error).__name__}: {what}"
