"""Check the inputs of a call, so that backends need not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._texts import text_array
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray, device_array_from, is_device_array
from onepass.tensors import STRING, Signature, TensorSpec, no_such_name, shape_text


class InputChecker:
    """Checks the inputs of one model; everything that can be precomputed is.

    A dynamic dimension with the same name in several inputs must have the same size in all of them.
    """

    def __init__(
        self, signature: Signature, *, import_streams: Mapping[int, Any] | None = None, place: str = "the CPU"
    ) -> None:
        """Prepare the checks.

        Args:
            signature: The model's signature.
            import_streams: Streams that wait for arrays on the backend's GPUs, by GPU number; None if the backend does
                not support GPU arrays.
            place: What runs the model, for messages.
        """
        self._import_streams = import_streams
        self._place = place
        self._specs = {spec.name: spec for spec in signature.inputs}
        self._names = tuple(self._specs)
        self._plans = [(spec.name, spec, spec.dtype, spec.dtype == STRING, *_plan(spec)) for spec in signature.inputs]
        dims = [dim for spec in signature.inputs for dim in spec.shape or () if isinstance(dim, str)]
        self._shared = {dim for dim in dims if dims.count(dim) > 1}

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return one C-contiguous array per input, in the model's order; a `DeviceArray` for each GPU array.

        Raises:
            InputError: An input is missing or unknown, or has the wrong dtype, rank or size.
        """
        if given.keys() != self._specs.keys():
            self._complain_of_names(given)
        feeds = {}
        for name, spec, dtype, is_text, rank, fixed in self._plans:
            array = given[name]
            if type(array) is not np.ndarray:
                array = self._from_device(array, spec) if is_device_array(array) else _as_array(array, spec)
            if is_text and type(array) is not DeviceArray:
                array = text_array(array, name)
            shape = array.shape
            if array.dtype != dtype or (rank is not None and len(shape) != rank):
                raise InputError(_complaint(spec, array))
            for axis, size in fixed:
                if shape[axis] != size:
                    raise InputError(_complaint(spec, array))
            # ascontiguousarray would turn a scalar into a vector, but a scalar is always contiguous.
            dense = type(array) is DeviceArray or array.flags.c_contiguous
            feeds[name] = array if dense else np.ascontiguousarray(array)
        if self._shared:
            self._check_shared(feeds)
        return feeds

    def _from_device(self, value: Any, spec: TensorSpec) -> DeviceArray:
        if self._import_streams is None:
            raise InputError(
                f"input {spec.name!r}: got {type(value).__name__} on a GPU, but this model runs on {self._place}; move "
                "it to the host: tensor.cpu() in PyTorch, array.get() in CuPy"
            )
        return device_array_from(value, name=spec.name, streams=self._import_streams)

    def _complain_of_names(self, given: Mapping[str, Any]) -> None:
        unknown = [name for name in given if name not in self._specs]
        if unknown:
            raise InputError(no_such_name("input", unknown[0], self._names))
        missing = [f"{name!r} ({spec})" for name, spec in self._specs.items() if name not in given]
        raise InputError(
            f"missing input{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"got {', '.join(map(repr, given)) or 'none'}. Every call needs all inputs"
        )

    def _check_shared(self, feeds: Mapping[str, Array]) -> None:
        seen: dict[str, tuple[int, str]] = {}
        for name, spec in self._specs.items():
            for axis, dim in enumerate(spec.shape or ()):
                if dim not in self._shared:
                    continue
                size = feeds[name].shape[axis]
                first_size, first_name = seen.setdefault(str(dim), (size, name))
                if size != first_size:
                    raise InputError(
                        f"dimension {dim} is {first_size} in input {first_name!r} "
                        f"{shape_text(feeds[first_name].shape)} but {size} in input {name!r} "
                        f"{shape_text(feeds[name].shape)}; it must have the same size in all inputs"
                    )


def _plan(spec: TensorSpec) -> tuple[int | None, tuple[tuple[int, int], ...]]:
    """Return the rank, and the (axis, size) of each fixed dimension."""
    if spec.shape is None:
        return None, ()
    return len(spec.shape), tuple((axis, dim) for axis, dim in enumerate(spec.shape) if isinstance(dim, int))


def _as_array(value: Any, spec: TensorSpec) -> Array:
    """Convert a value to an array: lists and Python numbers get the input's dtype, all others keep their own."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"input {spec.name!r}: got a masked array, whose mask would be lost; use array.filled(...)")
    # NumPy would convert numbers in a list of strings to strings, and strip trailing NULs from strings.
    in_python = spec.dtype == STRING and isinstance(value, (list, tuple, str))
    try:
        array = np.asarray(value, STRING if in_python else None)
    except Exception as error:
        raise InputError(
            f"input {spec.name!r}: expected {spec}, got {type(value).__name__}, which cannot be converted to an array "
            f"({error})"
        ) from error
    plain = isinstance(value, (list, tuple, int, float, complex)) and not isinstance(value, np.generic)
    return _with_dtype(array, spec) if plain and array.dtype.kind in "biufc" and spec.dtype != STRING else array


def _with_dtype(array: Array, spec: TensorSpec) -> Array:
    """Convert numbers without a dtype of their own to the input's dtype, if it can hold them."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        cast = array.astype(spec.dtype)
        whole = spec.dtype.kind in "biu"
        fits = np.array_equal(cast, array) if whole else np.array_equal(_finite(cast), _finite(array))
    if not fits or (array.dtype.kind == "c" and spec.dtype.kind != "c"):
        raise InputError(f"input {spec.name!r}: expected {spec}, but {spec.dtype} cannot hold all of the given numbers")
    return cast


def _finite(array: Array) -> Array:
    # NumPy has no isfinite for float8.
    wide = array if array.dtype.kind == "c" else array.astype(np.float64)
    finite: Array = np.isfinite(wide)
    return finite


def _complaint(spec: TensorSpec, array: Array | DeviceArray) -> str:
    came = f"input {spec.name!r}: expected {spec}, got {_kind(array, spec)} {shape_text(array.shape)}"
    if array.dtype != spec.dtype:
        if spec.dtype == STRING:
            decoded = "; decode bytes with numpy.char.decode(array)" if array.dtype.kind == "S" else ""
            return f"{came}. The input accepts only strings{decoded}"
        if array.dtype.kind in "OSUT":
            return f"{came}. The input accepts only numbers"
        return f"{came}. onepass never converts dtypes silently; use array.astype({spec.dtype.name!r})"
    shape = spec.shape or ()
    if array.ndim != len(shape):
        return f"{came}. {_rank_hint(array, len(shape))}"
    axis = next(axis for axis, dim in enumerate(shape) if isinstance(dim, int) and array.shape[axis] != dim)
    layout = _layout_hint(array.shape, spec)
    return f"{came}. Dimension {axis} must be {shape[axis]}, got {array.shape[axis]}{layout}"


def _kind(array: Array | DeviceArray, spec: TensorSpec) -> str:
    """Return a readable name of a dtype, unlike NumPy's names of string types, such as ``<U7``."""
    texts = {"U": "string", "T": "string", "S": "bytes", "O": "string" if spec.dtype == STRING else "object"}
    return texts.get(array.dtype.kind) or str(array.dtype)


def _rank_hint(array: Array | DeviceArray, rank: int) -> str:
    if array.ndim == rank - 1:
        return "One dimension is missing; for a batch of one, use array[None]"
    return f"The rank must be {rank}, got {array.ndim}"


def _layout_hint(came: tuple[int, ...], spec: TensorSpec) -> str:
    """Return advice for the most common mistake: channels-last pictures for a channels-first input, or vice versa."""
    if len(came) == 4:
        for axes in ((0, 3, 1, 2), (0, 2, 3, 1)):
            if spec.allows(tuple(came[axis] for axis in axes)):
                return f"; the channels are in another position, use array.transpose{axes}"
    return ""
