"""Tensor specs (name, dtype and shape) and model signatures (inputs and outputs)."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from onepass._errors import InputError, LeftOutWarning, OutputNameError, UnsupportedModelError

Dim: TypeAlias = int | str | None
"""A size, the name of a dynamic dimension, or None for a dynamic dimension without a name."""

# One row per type: ONNX's number (onnx.TensorProto.DataType), ONNX's name, NumPy's type.
_TYPES: tuple[tuple[int, str, Any], ...] = (
    (1, "float", np.float32),
    (2, "uint8", np.uint8),
    (3, "int8", np.int8),
    (4, "uint16", np.uint16),
    (5, "int16", np.int16),
    (6, "int32", np.int32),
    (7, "int64", np.int64),
    (9, "bool", np.bool_),
    (10, "float16", np.float16),
    (11, "double", np.float64),
    (12, "uint32", np.uint32),
    (13, "uint64", np.uint64),
    (14, "complex64", np.complex64),
    (15, "complex128", np.complex128),
    (16, "bfloat16", ml_dtypes.bfloat16),
    (17, "float8e4m3fn", ml_dtypes.float8_e4m3fn),
    (18, "float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    (19, "float8e5m2", ml_dtypes.float8_e5m2),
    (20, "float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
    (24, "float8e8m0", ml_dtypes.float8_e8m0fnu),
)
_STRING = (8, "string")
# Placeholders that exporters write for unknown sizes, as if they were names.
_NO_NAME = re.compile(r"\s*(\?+|\*|-\d+|none|null|unk|unk__.*|unknown|dynamic)?\s*", re.IGNORECASE)
_DTYPE_BY_ONNX_NAME = {name: np.dtype(kind) for _, name, kind in _TYPES}
_DTYPE_BY_ONNX_NUMBER = {number: np.dtype(kind) for number, _, kind in _TYPES}
_ONNX_NUMBER_BY_DTYPE = {np.dtype(kind): number for number, _, kind in _TYPES}
DTYPES: Mapping[str, np.dtype[Any]] = {np.dtype(kind).name: np.dtype(kind) for _, _, kind in _TYPES}
"""All numeric dtypes of tensors, by NumPy name (bfloat16 and the float8 types come from ml_dtypes)."""
STRING: np.dtype[Any] = np.dtype(object)
"""The dtype of a tensor of strings: its array holds Python's ``str`` objects."""


def has_dtype(element_type: int | str) -> bool:
    """Whether `dtype_from_onnx` supports an ONNX element type, by number or name; types below eight bits are not."""
    return element_type in _STRING or element_type in _DTYPE_BY_ONNX_NUMBER or element_type in _DTYPE_BY_ONNX_NAME


def dtype_from_onnx(element_type: int | str, *, tensor: str) -> np.dtype[Any]:
    """Return the NumPy dtype of an ONNX element type; `STRING` for strings.

    Args:
        element_type: ONNX's number (``1``) or name (``"float"``) of the type.
        tensor: Name of the tensor, for the error.

    Raises:
        UnsupportedModelError: The type has fewer than eight bits, so NumPy has no dtype for it.
    """
    table: Mapping[Any, np.dtype[Any]] = _DTYPE_BY_ONNX_NUMBER if isinstance(element_type, int) else _DTYPE_BY_ONNX_NAME
    if element_type in table:
        return table[element_type]
    if element_type in _STRING:
        return STRING
    raise UnsupportedModelError(
        f"tensor {tensor!r} has the ONNX element type {element_type!r}, which has no NumPy dtype; expected one of "
        f"{', '.join(DTYPES)}. Cast the tensor inside the model (for example to int8 or float16)"
    )


def onnx_from_dtype(dtype: np.dtype[Any]) -> int:
    """Return ONNX's number (``onnx.TensorProto.DataType``) for `STRING` or a dtype in `DTYPES`."""
    return _STRING[0] if dtype == STRING else _ONNX_NUMBER_BY_DTYPE[dtype]


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's NumPy name, ``"string"`` for `STRING`."""
    return _STRING[1] if dtype == STRING else dtype.name


def dim_from_onnx(dim: int | str | None) -> Dim:
    """Convert one dimension of an ONNX shape; placeholders such as ``?``, ``-1`` and ``unk__7`` become None.

    Exporters write placeholders for unknown sizes; two dimensions with the same placeholder may differ in size.
    """
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return None if dim is None or _NO_NAME.fullmatch(dim) else dim


def shape_text(shape: tuple[Dim, ...] | None) -> str:
    """Format a shape: ``[N, 1, 36, 60]``, with ``?`` for a nameless dynamic dimension, or ``[...]`` if unknown."""
    if shape is None:
        return "[...]"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and shape of one input or output.

    Attributes:
        name: The tensor's name in the model.
        dtype: NumPy dtype, one of `DTYPES`, or `STRING`.
        shape: One entry per dimension: its size, the name of a dynamic dimension (``"N"``), or None if the dimension is
            dynamic and has no name. None instead of a tuple if the rank is unknown, too.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dim, ...] | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if self.dtype != STRING and self.dtype not in _ONNX_NUMBER_BY_DTYPE:
            known = ", ".join((*DTYPES, _STRING[1]))
            raise InputError(f"tensor {self.name!r}: unsupported dtype {self.dtype}, expected one of {known}")
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(_checked_dim(dim, self.name, self.shape) for dim in self.shape))

    def __str__(self) -> str:
        return f"{dtype_name(self.dtype)} {shape_text(self.shape)}"

    @property
    def is_static(self) -> bool:
        """Whether every dimension has a fixed size."""
        return self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits: rank and fixed sizes must be equal."""
        if self.shape is None:
            return True
        return len(self.shape) == len(shape) and all(
            not isinstance(dim, int) or dim == size for dim, size in zip(self.shape, shape, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain JSON values; `from_json` reads it back."""
        return {
            "name": self.name,
            "dtype": dtype_name(self.dtype),
            "shape": None if self.shape is None else list(self.shape),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TensorSpec:
        """Read what `to_json` wrote."""
        shape = data["shape"]
        dtype = STRING if data["dtype"] == _STRING[1] else DTYPES[data["dtype"]]
        return cls(data["name"], dtype, None if shape is None else tuple(shape))


def _checked_dim(dim: object, tensor: str, shape: object) -> Dim:
    if dim is None or (isinstance(dim, str) and dim and not isinstance(shape, str)):
        return dim
    if isinstance(dim, (int, np.integer)) and not isinstance(dim, bool) and dim >= 0:
        return int(dim)
    raise InputError(
        f"tensor {tensor!r}: invalid shape {shape!r}; each dimension must be a whole number ≥ 0, a name, or None"
    )


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and all outputs of a model, each in the model's own order.

    Attributes:
        inputs: Required inputs of a call.
        outputs: Outputs that a call can return.
        left_out: Outputs of the model that no call returns, because they are not dense tensors or because their type
            has fewer than eight bits: name to kind (``sequence``, ``map``, ``optional``, ``tensor of int4`` …).
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    _output_index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        object.__setattr__(self, "_output_index", {spec.name: index for index, spec in enumerate(self.outputs)})
        for kind, specs in (("input", self.inputs), ("output", self.outputs)):
            names = [spec.name for spec in specs]
            twice = sorted(name for name, count in Counter(names).items() if count > 1)
            if twice:
                raise InputError(f"{kind} names must be unique; given more than once: {', '.join(twice)}")

    def __str__(self) -> str:
        def lines(specs: tuple[TensorSpec, ...]) -> Iterator[str]:
            return (f"  {spec.name}: {spec}" for spec in specs)

        left_out = [f"  {name}: {kind}, left out" for name, kind in self.left_out.items()]
        return "\n".join(["inputs:", *lines(self.inputs), "outputs:", *lines(self.outputs), *left_out])

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the model's order."""
        return tuple(spec.name for spec in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the model's order."""
        return tuple(spec.name for spec in self.outputs)

    def ordered_outputs(self, names: str | Iterable[str]) -> tuple[str, ...]:
        """Return the given output names (or the single name) in the model's order, without duplicates.

        Raises:
            OutputNameError: The model has no output with one of these names; the message lists its outputs.
            UnsupportedModelError: One of the outputs is not a dense tensor.
        """
        wanted = set()
        for name in name_tuple(names):
            if name in self.left_out:
                raise UnsupportedModelError(no_dense_tensor(name, self.left_out[name], self.output_names))
            if name not in self._output_index:
                raise OutputNameError(no_such_name("output", name, self.output_names))
            wanted.add(name)
        return tuple(sorted(wanted, key=self._output_index.__getitem__))

    def to_json(self) -> dict[str, Any]:
        """Return the signature as plain JSON values; `from_json` reads it back."""
        data: dict[str, Any] = {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }
        return {**data, "left_out": dict(self.left_out)} if self.left_out else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Signature:
        """Read what `to_json` wrote."""
        return cls(
            tuple(TensorSpec.from_json(spec) for spec in data["inputs"]),
            tuple(TensorSpec.from_json(spec) for spec in data["outputs"]),
            data.get("left_out", {}),
        )


_MOVED = "onepass supports only dense tensors with element types of at least eight bits"


def no_dense_tensor(name: str, kind: str, others: Iterable[str] = ()) -> str:
    """Return the message for an input or output that is not a dense tensor; it lists the other outputs."""
    article = "an" if kind[:1] in "aeiou" else "a"
    without = ", ".join(others)
    advice = f"Other outputs: {without}" if without else "Select other outputs: OnnxGraph.load(...).select([...])"
    return f"{name!r} is {article} {kind}; {_MOVED}. {advice}"


def warn_of_left_out(signature: Signature, model: str) -> None:
    """Warn if the model has outputs that no call returns."""
    if signature.left_out:
        listed = ", ".join(f"{name} ({kind})" for name, kind in signature.left_out.items())
        warnings.warn(f"{model}: left out {listed}; {_MOVED}", LeftOutWarning, stacklevel=3)


def name_tuple(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple; a single string is one name."""
    return (names,) if isinstance(names, str) else tuple(names)


def no_such_name(kind: str, name: object, known: tuple[str, ...], *, owner: str = "the model") -> str:
    """Return the message for an unknown name: the known names, and the one that was probably meant."""
    near = get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(known[:20]) + (f", … ({len(known)} in all)" if len(known) > 20 else "")
    return f"{owner} has no {kind} {name!r}.{hint} Its {kind}s are: {listed or 'none'}"
