"""Read tensors, operators and signatures of a TFLite file by its schema, without an interpreter."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from onepass._errors import InputError, ModelFormatError, UnsupportedModelError
from onepass._optional import optional
from onepass.outputs import Array
from onepass.tensors import Dim, Signature, TensorSpec, no_dense_tensor, no_such_name

_DTYPES = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "FLOAT64": np.float64, "INT8": np.int8, "INT16": np.int16,
    "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "BOOL": np.bool_, "COMPLEX64": np.complex64, "COMPLEX128": np.complex128,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
        name: Its name in the file.
        kind: Its TFLite type: ``FLOAT32``.
        shape: Its sizes, None for dynamic ones.
        data: Its values if it is a constant.
        is_plain: Whether it is neither quantised nor sparse.
        is_variable: Whether it keeps its values between calls.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    data: Array | None
    is_plain: bool
    is_variable: bool

    def spec(self, name: str) -> TensorSpec:
        """Return the spec of an input or output of this name.

        Raises:
            UnsupportedModelError: NumPy has no dtype for the tensor.
        """
        if self.kind not in _DTYPES:
            raise UnsupportedModelError(no_dense_tensor(name, self.kind.lower()))
        shape: tuple[Dim, ...] = self.shape
        return TensorSpec(name, np.dtype(_DTYPES[self.kind]), shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, with the indices of its tensors; -1 denotes an omitted input.

    Attributes:
        kind: Its name: ``CONV_2D``.
        inputs: The tensors that it reads.
        outputs: The tensors that it computes.
        options: Its options, a schema object; None if it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class TFLiteFile:
    """The first graph of a TFLite file.

    Inputs and outputs have the signature's names and order or, without a signature, as in most files, the tensors'
    names. An output with the name of an input that is another tensor gets the suffix ``_out``.

    Attributes:
        tensors: All tensors, by index.
        operators: The operators in execution order.
        inputs: Maps input names to tensor indices.
        outputs: Maps output names to tensor indices.
    """

    def __init__(self, path: Path, *, signature: str | None = None) -> None:
        """Read a file.

        Raises:
            ModelFormatError: The file is damaged.
            InputError: The requested signature does not exist.
            UnsupportedModelError: The signature belongs to a graph other than the first.
            MissingExtraError: The package with the schema is not installed.
        """
        schema = optional("tflite", extra="tflite", purpose="Reading TFLite models")
        with _told(path):
            model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
            known = (model.SignatureDefs(index) for index in range(model.SignatureDefsLength()))
            signatures = {each.SignatureKey().decode(): each for each in known}
        if signature is not None and signature not in signatures:
            raise InputError(f"{path}: {no_such_name('signature', signature, tuple(signatures))}")
        chosen = next(iter(signatures.values()), None) if signature is None else signatures[signature]
        with _told(path):
            graph = model.Subgraphs(0 if chosen is None else chosen.SubgraphIndex())
            self.tensors = tuple(_tensor(schema, model, graph.Tensors(i)) for i in range(graph.TensorsLength()))
            self.operators = tuple(_operator(schema, model, graph.Operators(i)) for i in range(graph.OperatorsLength()))
            named_inputs, named_outputs = ({}, {}) if chosen is None else _named(chosen)
            self.inputs = named_inputs or self._named_as_tensors(graph.InputsAsNumpy())
            outputs = named_outputs or self._named_as_tensors(graph.OutputsAsNumpy())
            self.outputs = {
                f"{name}_out" if self.inputs.get(name, index) != index else name: index
                for name, index in outputs.items()
            }
        if chosen is not None and chosen.SubgraphIndex():
            raise UnsupportedModelError(
                f"{path}: signature {signature!r} belongs to another graph; onepass converts only the first graph"
            )

    @cached_property
    def signature(self) -> Signature:
        """Inputs and outputs.

        Raises:
            UnsupportedModelError: NumPy has no dtype for a tensor.
        """
        inputs, outputs = (
            tuple(self.tensors[index].spec(name) for name, index in ends.items())
            for ends in (self.inputs, self.outputs)
        )
        return Signature(inputs, outputs)

    @property
    def variables(self) -> tuple[str, ...]:
        """State that is kept between calls: names of tensors, or of operators that access it."""
        kinds = {each.kind for each in self.operators}
        stateful = sorted(kinds & {"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})
        return (*(tensor.name for tensor in self.tensors if tensor.is_variable), *stateful)

    def _named_as_tensors(self, indices: Any) -> dict[str, int]:
        return {self.tensors[index].name: index for index in _indices(indices)}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Convert errors from reading a damaged file to an error that names the file."""
    try:
        yield
    except (struct.error, AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFormatError(f"cannot read {path} as a TFLite model; the file is damaged or truncated") from error


def _named(signature: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return names and indices of a signature's inputs and outputs, in order."""
    inputs = (signature.Inputs(place) for place in range(signature.InputsLength()))
    outputs = (signature.Outputs(place) for place in range(signature.OutputsLength()))
    named_inputs, named_outputs = (
        {each.Name().decode(): int(each.TensorIndex()) for each in ends} for ends in (inputs, outputs)
    )
    return named_inputs, named_outputs


def _indices(numbers: Any) -> tuple[int, ...]:
    return () if isinstance(numbers, int) else tuple(map(int, numbers))  # a missing vector is 0


def _tensor(schema: ModuleType, model: Any, tensor: Any) -> Tensor:
    kind = _name_of(schema.TensorType, tensor.Type())
    shape = _indices(tensor.ShapeAsNumpy())
    changing = _indices(tensor.ShapeSignatureAsNumpy())
    quantisation = tensor.Quantization()
    quantised = quantisation is not None and quantisation.ScaleLength() > 0
    buffer = model.Buffers(tensor.Buffer())
    data = None
    if tensor.Buffer() and buffer.DataLength() and kind in _DTYPES and tensor.Sparsity() is None:
        data = buffer.DataAsNumpy().view(_DTYPES[kind]).reshape(shape)
    return Tensor(
        name=tensor.Name().decode(),
        kind=kind,
        shape=tuple(size if size >= 0 else None for size in changing or shape),
        data=data,
        is_plain=not quantised and tensor.Sparsity() is None and not buffer.Offset(),
        is_variable=bool(tensor.IsVariable()),
    )


def _operator(schema: ModuleType, model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    kind = _name_of(schema.BuiltinOperator, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    options, table = None, operator.BuiltinOptions()
    if table is not None:
        options = getattr(schema, _name_of(schema.BuiltinOptions, operator.BuiltinOptionsType()))()
        options.Init(table.Bytes, table.Pos)
    return Operator(kind, _indices(operator.InputsAsNumpy()), _indices(operator.OutputsAsNumpy()), options)


def _name_of(enumeration: Any, number: int) -> str:
    """Return the name of a value in a schema enumeration; the number itself if unknown."""
    return next((name for name, value in vars(enumeration).items() if value == number and name[:1] != "_"), str(number))
