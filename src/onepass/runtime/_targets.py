"""Check the arrays that a caller passes for results, and the shapes for `empty_inputs`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, dtype_name, no_such_name, shape_text


def full_shapes(signature: Signature, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every input: given or fixed."""
    for name in given:
        if name not in signature.input_names:
            raise InputError(no_such_name("input", name, signature.input_names))
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in signature.inputs:
        shape: Any = given.get(spec.name, spec.shape if spec.is_static else None)
        if shape is None:
            raise InputError(f"input {spec.name!r} ({spec}) needs a shape: empty_inputs({spec.name}=(...))")
        if not spec.allows(tuple(shape)):
            raise InputError(f"input {spec.name!r}: expected a shape that fits {spec}, got {shape_text(tuple(shape))}")
        shapes[spec.name] = tuple(shape)
    return shapes


def check_out(out: Mapping[str, Array], names: tuple[str, ...], signature: Signature) -> None:
    """Reject arrays that results do not fit into, before anything runs.

    Raises:
        InputError, OutputNameError: An array or its name does not fit.
    """
    if not isinstance(out, Mapping):
        raise InputError(
            f"out= must be a mapping from output name to array, got {type(out).__name__}. "
            "If an input is called 'out', pass inputs by mapping: session({'out': array})"
        )
    specs = {spec.name: spec for spec in signature.outputs}
    for name in signature.ordered_outputs(out):
        if name not in names:
            raise InputError(f"out= has {name!r}, which is not in outputs=")
        _check_target(specs[name], out[name])
    for (name, first), (other, second) in combinations(out.items(), 2):
        if np.shares_memory(first, second):
            raise InputError(f"out= has the same memory for {name!r} and {other!r}; each output needs its own array")


def _check_target(spec: TensorSpec, target: Any) -> None:
    """Check an array before the run as far as possible."""
    if not isinstance(target, np.ndarray):
        raise InputError(f"out={{{spec.name!r}: ...}}: expected a NumPy array, got {type(target).__name__}")
    if target.dtype != spec.dtype or not spec.allows(target.shape):
        raise InputError(
            f"out={{{spec.name!r}: ...}}: expected {spec}, got {dtype_name(target.dtype)} {shape_text(target.shape)}"
        )
    if not target.flags.writeable:
        raise InputError(f"out={{{spec.name!r}: ...}}: the array is read-only; pass a writable array")


def fill(out: Mapping[str, Array], arrays: dict[str, Array]) -> None:
    """Copy results into the caller's arrays; all are checked first, so that none is filled if one does not fit."""
    for name, target in out.items():
        if arrays[name].shape != target.shape:
            raise InputError(
                f"out={{{name!r}: ...}}: expected {shape_text(arrays[name].shape)}, the shape of this call's output, "
                f"got {shape_text(target.shape)}"
            )
    for name, target in out.items():
        np.copyto(target, arrays[name])
        arrays[name] = target
