"""Turn the user's ranges into complete optimisation profiles, with a range for every input of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.builder.options import BuildOptions, Range, Ranges, fractions_of
from onepass.engine.shapes import Profile, ShapeRange
from onepass.tensors import Signature, TensorSpec, no_such_name


def profiles_from_options(signature: Signature, options: BuildOptions) -> tuple[Profile, ...]:
    """Return one profile for each mapping in ``options.shapes``, or a single one if there are none.

    Raises:
        InputError: A name is unknown, a range does not fit the model, or an input with a dynamic shape has no range.
    """
    _check_names(signature, options)
    values = {name: as_range(each, name) for name, each in options.values.items()}
    return tuple(
        Profile({spec.name: _range_of(spec, shapes, options) for spec in signature.inputs}, values)
        for shapes in options.profiles or ({},)
    )


def as_range(value: Range, name: str) -> ShapeRange:
    """Return a range from a number, ``(min, opt, max)``, or ``(min, opt, max)`` of several numbers each."""
    if isinstance(value, ShapeRange):
        return value
    if any(isinstance(each, float) for each in np.asarray(value, object).reshape(-1)):
        raise InputError(fractions_of(name, value))
    if isinstance(value, int):
        return ShapeRange((value,), (value,), (value,))
    if len(value) != 3:
        raise InputError(f"{name!r}: invalid range {value!r}; expected one number, or (min, opt, max)")
    least, best, greatest = (tuple(each) if isinstance(each, Sequence) else (each,) for each in value)
    return ShapeRange(least, best, greatest)


def _check_names(signature: Signature, options: BuildOptions) -> None:
    inputs = signature.input_names
    for names in (*options.profiles, options.values):
        for name in names:
            if name not in inputs:
                raise InputError(no_such_name("input", name, inputs))
    dims = {dim: None for spec in signature.inputs for dim in spec.shape or () if isinstance(dim, str)}
    for name in options.sizes:
        if name not in dims:
            raise InputError(no_such_name("dynamic dimension", name, tuple(dims)))


def _range_of(spec: TensorSpec, shapes: Ranges, options: BuildOptions) -> ShapeRange:
    if spec.name in shapes:
        given = _whole_range(spec, shapes[spec.name])
        for shape in (given.min, given.opt, given.max):
            if not spec.allows(shape):
                raise InputError(f"shapes of input {spec.name!r}: {given} does not fit the model's {spec}")
        return given
    if spec.shape is None:
        raise InputError(
            f"input {spec.name!r} has unknown rank, which TensorRT does not support; give its shape: "
            f"shapes={{{spec.name!r}: (8, 3)}}"
        )
    columns = [_dim_range(spec, index, options) for index in range(len(spec.shape))]
    return ShapeRange(*(tuple(column[which] for column in columns) for which in range(3)))


def _dim_range(spec: TensorSpec, index: int, options: BuildOptions) -> tuple[int, int, int]:
    assert spec.shape is not None  # noqa: S101 - the caller has looked
    dim = spec.shape[index]
    if isinstance(dim, int):
        return (dim, dim, dim)
    if dim is not None and dim in options.sizes:
        return _triple(options.sizes[dim], f"sizes of {dim!r}")
    if index == 0 and options.batch is not None:
        return _triple(options.batch, "batch")
    example = tuple(tuple(dim if isinstance(dim, int) else size for dim in spec.shape) for size in (1, 8, 64))
    raise InputError(
        f"input {spec.name!r} has a dynamic shape ({spec}); give its (min, opt, max), such as "
        f"{'batch=(1, 8, 64), or ' if index == 0 else ''}shapes={{{spec.name!r}: {example}}}"
    )


def _triple(value: Range, name: str) -> tuple[int, int, int]:
    given = as_range(value, name)
    if len(given.min) != 1:
        raise InputError(f"{name}: {given} has more than one dimension; expected a number, or (min, opt, max)")
    return given.min[0], given.opt[0], given.max[0]


def _whole_range(spec: TensorSpec, value: Range) -> ShapeRange:
    """Distinguish a complete range, one fixed shape, and (min, opt, max) sizes of the only dynamic dimension."""
    if isinstance(value, ShapeRange):
        lengths = {len(value.min)}
        is_short = spec.shape is not None and lengths == {1} and len(spec.shape) != 1
        return _fill(spec, (value.min[0], value.opt[0], value.max[0])) if is_short else value
    if isinstance(value, int):
        return _whole_range(spec, (value, value, value) if spec.shape is None or len(spec.shape) != 1 else (value,))
    if any(isinstance(each, Sequence) for each in value):
        return as_range(value, spec.name)
    flat: tuple[Any, ...] = tuple(value)
    as_shape = ShapeRange(flat, flat, flat)
    fits = spec.allows(as_shape.min)
    dynamic = 0 if spec.shape is None else sum(not isinstance(dim, int) for dim in spec.shape)
    if len(flat) != 3 or dynamic != 1:
        return as_shape
    if fits:
        raise InputError(
            f"shapes of input {spec.name!r} ({spec}): {flat} is ambiguous: one shape, or (min, opt, max) sizes of its "
            "dynamic dimension; give three shapes"
        )
    return _fill(spec, flat)


def _fill(spec: TensorSpec, sizes: tuple[int, ...]) -> ShapeRange:
    """Replace the only dynamic dimension by three sizes."""
    dims = spec.shape or ()
    if sum(not isinstance(dim, int) for dim in dims) != 1:
        raise InputError(
            f"shapes of input {spec.name!r}: {spec} does not have exactly one dynamic dimension; give three shapes"
        )
    return ShapeRange(*(tuple(dim if isinstance(dim, int) else size for dim in dims) for size in sizes))
