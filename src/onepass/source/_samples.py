"""Inputs for running a network: the source's own examples, the user's, and random ones."""

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

# Sizes to try for a dynamic dimension, from picture sizes down to short tables, including multiples of 3, 5 and 7.
_SIZES = (64, 60, 32, 28, 16, 10, 8, 6, 5, 4, 3, 2, 1)
# Upper limits for random integers, which may be indices into a short table.
_LIMITS = (10, 2, 1)
_BATCHES = (2, 1)


@dataclass(frozen=True, slots=True)
class Samples:
    """A generator of inputs that a network accepts.

    Attributes:
        signature: The network's signature.
        shapes: An accepted shape for each input.
        examples: Meaningful inputs, by name; may be empty.
        limit: Upper limit (exclusive) for random integers.
        batch: Batch size for dynamic batches.
    """

    signature: Signature
    shapes: Mapping[str, tuple[int, ...]]
    examples: Mapping[str, Array]
    limit: int = _LIMITS[0]
    batch: int = _BATCHES[0]

    @property
    def has_free_batch(self) -> bool:
        """Whether every input has a dynamic batch, and the network accepts more than one item."""
        names = batch_names(self.signature)
        inputs = self.signature.inputs
        return bool(inputs) and self.batch > 1 and all(batch_axes(spec, names) for spec in inputs)

    def drawn(self, seed: int, *, batch: int | None = None) -> dict[str, Array]:
        """Return random inputs; integers and booleans come from the examples, if there are any.

        Args:
            seed: The same seed gives the same arrays.
            batch: Batch size, for dynamic batches.
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
        """Return the examples' integers and booleans, item by item.

        They may be indices, lengths, or masks that must not be empty: random values would be meaningless.
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
        """Keep integers below the limit, and include the greatest, so that a trial covers all later inputs."""
        if array.dtype.kind not in "iu" or array.dtype == np.uint8:
            return array
        limited: Array = (array % array.dtype.type(self.limit)).astype(array.dtype)
        limited.reshape(-1)[:1] = self.limit - 1
        return limited


def samples_of(trained: Trained, given: Any = None) -> Samples:
    """Find inputs that a network accepts.

    Args:
        trained: The network, whose own examples take precedence.
        given: The user's inputs: an array, several in order, or a mapping by name; some may be missing.

    Raises:
        InputError: The given inputs do not match the signature.
        ConversionError: The network accepted none of many random inputs for the missing ones.
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
    """Yield samples with decreasing sizes and limits, without repetitions."""
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
    """Yield the given inputs by name, after checking them."""
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
                f"example_inputs: input {name!r}: expected {spec}, got {array.dtype} {shape_text(array.shape)}"
            )
        yield name, array


def _complaint(trained: Trained, signature: Signature, examples: Mapping[str, Array], error: Exception | None) -> str:
    made = [spec for spec in signature.inputs if spec.name not in examples]
    example = ", ".join(f"{spec.name!r}: …" for spec in made)
    return (
        f"{trained.framework} cannot run the network on random inputs of sizes from {_SIZES[0]} down "
        f"({', '.join(f'{spec.name} is {spec}' for spec in made)}): {gist(error)}. Provide inputs that the network "
        f"accepts: example_inputs={{{example}}}"
    )


def gist(error: Exception | None) -> str:
    """Return the error's type and its relevant line; TensorFlow puts source locations first."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(error).splitlines()]
    noise = ("File ", "Detected at node", "Graph execution error", "[[", "Exception encountered when calling")
    said = [line for line in lines if line and not line.startswith(noise)]
    what = (said or [line for line in lines if line] or ["no reason given"])[0][:300]
    return what if isinstance(error, OnepassError) else f"{type(error).__name__}: {what}"
