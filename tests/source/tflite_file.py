"""TFLite files, written with the schema alone: what a converter of TensorFlow would write, and what none would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {"f4": "FLOAT32", "f2": "FLOAT16", "i4": "INT32", "i8": "INT64", "i1": "INT8"}


@dataclass
class Op:
    """An operator: its kind, its tensors by name, and its options as the schema calls them."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Model:
    """A TFLite model of one graph.

    Attributes:
        tensors: Shape of each computed tensor, by name; a size of -1 may change.
        constants: Those with values.
        ops: The operators in their order.
        inputs: Names of the inputs.
        outputs: Names of the outputs in the graph's order.
        signature: Names of inputs and of outputs to tensors; none if it is empty.
        variables: Tensors that keep their values.
        quantised: Tensors with a scale.
    """

    tensors: Mapping[str, Sequence[int]]
    ops: Sequence[Op]
    inputs: Sequence[str]
    outputs: Sequence[str]
    constants: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    signature: tuple[Mapping[str, str], Mapping[str, str]] | None = None
    variables: Sequence[str] = ()
    quantised: Sequence[str] = ()

    def save(self, path: Path) -> Path:
        """Write the file."""
        b = self._builder = flatbuffers.Builder(1024)
        names = [*self.tensors, *self.constants]
        self._place = {name: index for index, name in enumerate(names)}
        kinds = sorted({op.kind for op in self.ops})
        buffers = [self._buffer(None), *(self._buffer(each) for each in self.constants.values())]
        tensors = [self._tensor(name) for name in names]
        ops = [self._operator(op, kinds.index(op.kind)) for op in self.ops]
        tensors_at, ops_at = self._vector(tensors), self._vector(ops)
        inputs, outputs = self._indices(self.inputs), self._indices(self.outputs)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors_at)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, ops_at)
        graphs = self._vector([tflite.SubGraphEnd(b)])
        codes = self._vector([self._code(kind) for kind in kinds])
        signatures = self._vector([self._signature(*self.signature)] if self.signature else [])
        buffers_at = self._vector(buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers_at)
        tflite.ModelAddSignatureDefs(b, signatures)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(bytes(b.Output()))
        return path

    def _vector(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _indices(self, names: Sequence[str]) -> int:
        return self._numbers([self._place[name] if name else -1 for name in names])

    def _numbers(self, numbers: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(numbers, np.int32)))

    def _buffer(self, values: np.ndarray[Any, Any] | None) -> int:
        b = self._builder
        data = None if values is None else b.CreateNumpyVector(np.frombuffer(values.tobytes(), np.uint8))
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        return int(tflite.BufferEnd(b))

    def _tensor(self, name: str) -> int:
        b = self._builder
        values = self.constants.get(name)
        shape = list(self.tensors[name] if values is None else values.shape)
        at = self._numbers([max(size, 1) for size in shape])
        changing = self._numbers(shape)
        text = b.CreateString(name)
        scale = b.CreateNumpyVector(np.array([0.5], np.float32)) if name in self.quantised else None
        if scale is not None:
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scale)
            scale = tflite.QuantizationParametersEnd(b)
        kind = "FLOAT32" if values is None else TYPES[values.dtype.str[1:]]
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, at)
        tflite.TensorAddShapeSignature(b, changing)
        tflite.TensorAddType(b, getattr(tflite.TensorType, kind))
        tflite.TensorAddBuffer(b, 0 if values is None else 1 + list(self.constants).index(name))
        tflite.TensorAddName(b, text)
        tflite.TensorAddIsVariable(b, name in self.variables)
        if scale is not None:
            tflite.TensorAddQuantization(b, scale)
        return int(tflite.TensorEnd(b))

    def _operator(self, op: Op, code: int) -> int:
        b = self._builder
        inputs, outputs = self._indices(op.inputs), self._indices(op.outputs)
        options = None
        if op.options:
            getattr(tflite, f"{op.options}Start")(b)
            for name, value in op.values.items():
                getattr(tflite, f"{op.options}Add{name}")(b, value)
            options = getattr(tflite, f"{op.options}End")(b)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, op.options))
            tflite.OperatorAddBuiltinOptions(b, options)
        return int(tflite.OperatorEnd(b))

    def _code(self, kind: str) -> int:
        b, number = self._builder, getattr(tflite.BuiltinOperator, kind)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(b, number)
        tflite.OperatorCodeAddVersion(b, 1)
        return int(tflite.OperatorCodeEnd(b))

    def _signature(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> int:
        b = self._builder
        ends = [self._vector([self._map(*pair) for pair in each.items()]) for each in (inputs, outputs)]
        key = b.CreateString("serving_default")
        tflite.SignatureDefStart(b)
        tflite.SignatureDefAddInputs(b, ends[0])
        tflite.SignatureDefAddOutputs(b, ends[1])
        tflite.SignatureDefAddSignatureKey(b, key)
        tflite.SignatureDefAddSubgraphIndex(b, 0)
        return int(tflite.SignatureDefEnd(b))

    def _map(self, name: str, tensor: str) -> int:
        b = self._builder
        text = b.CreateString(name)
        tflite.TensorMapStart(b)
        tflite.TensorMapAddName(b, text)
        tflite.TensorMapAddTensorIndex(b, self._place[tensor])
        return int(tflite.TensorMapEnd(b))
