"""The arrays that a caller brings for results, and the shapes of those that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, dtype_name, no_such_name, shape_text


def full_shapes(signature: Signature, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every input: those given, and those that are fixed anyway."""
    for name in given:
        if name not in signature.input_names:
            raise InputError(no_such_name("input", name, signature.input_names))
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in signature.inputs:
        shape: Any = given.get(spec.name, spec.shape if spec.is_static else None)
        if shape is None:
            raise InputError(f"input {spec.name!r} is {spec}; say its shape: empty_inputs({spec.name}=(...))")
        if not spec.allows(tuple(shape)):
            raise InputError(f"input {spec.name!r}: the shape {shape_text(tuple(shape))} does not fit; it is {spec}")
        shapes[spec.name] = tuple(shape)
    return shapes


def check_out(out: Mapping[str, Array], names: tuple[str, ...], signature: Signature) -> None:
    """Refuse arrays to fill that results of these names would not fit, before anything runs.

    Raises:
        InputError, OutputNameError: One does not fit.
    """
    if not isinstance(out, Mapping):
        raise InputError(
            f"out= takes a mapping from output name to array, got {type(out).__name__}. "
            "An input called 'out' is fed by mapping: session({'out': array})"
        )
    specs = {spec.name: spec for spec in signature.outputs}
    for name in signature.ordered_outputs(out):
        if name not in names:
            raise InputError(f"out= has {name!r}, which outputs= does not ask for")
        _check_target(specs[name], out[name])
    for (name, first), (other, second) in combinations(out.items(), 2):
        if np.shares_memory(first, second):
            raise InputError(f"out= gives {name!r} and {other!r} the same memory; each needs an array of its own")


def _check_target(spec: TensorSpec, target: Any) -> None:
    """Find before the run what would otherwise be found after it."""
    if not isinstance(target, np.ndarray):
        raise InputError(f"out={{{spec.name!r}: ...}}: expected a NumPy array, got {type(target).__name__}")
    if target.dtype != spec.dtype or not spec.allows(target.shape):
        raise InputError(
            f"out={{{spec.name!r}: ...}}: got {dtype_name(target.dtype)} {shape_text(target.shape)}, "
            f"the output is {spec}"
        )
    if not target.flags.writeable:
        raise InputError(f"out={{{spec.name!r}: ...}}: the array is read-only; give one that can be written")


def fill(out: Mapping[str, Array], arrays: dict[str, Array]) -> None:
    """Put results into the caller's arrays; all are compared first, so that none is filled if one does not fit."""
    for name, target in out.items():
        if arrays[name].shape != target.shape:
            raise InputError(
                f"out={{{name!r}: ...}}: got {shape_text(target.shape)}, "
                f"but this call's output has {shape_text(arrays[name].shape)}"
            )
    for name, target in out.items():
        np.copyto(target, arrays[name])
        arrays[name] = target
