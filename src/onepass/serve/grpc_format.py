"""The gRPC encoding of requests and responses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.serve._messages import message
from onepass.serve.call import Answer, Call, check_parameters, once, timeout_of
from onepass.serve.datatypes import (
    array_from_bytes,
    bytes_from_array,
    checked_shape,
    datatype_name,
    dtype_of,
    strings,
    text_of,
)
from onepass.tensors import STRING

_ModelInferResponse = message("ModelInferResponse")
_ModelInferRequest = message("ModelInferRequest")
# The field for values not sent as raw bytes. Half-precision floats have no field: they need raw bytes.
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def read_request(request: Any) -> Call:
    """Read a ``ModelInferRequest``.

    Raises:
        InputError: The request is malformed; the message says how.
        Fault: The request needs an unsupported extension.
    """
    parameters = _parameters(request.parameters, "the request")
    names = [tensor.name for tensor in request.inputs]
    once(names, what="input")
    raw = request.raw_input_contents
    if raw and len(raw) != len(names):
        raise InputError(f"raw_input_contents: expected one entry per input ({len(names)}), or none; got {len(raw)}")
    inputs = {}
    for index, tensor in enumerate(request.inputs):
        _parameters(tensor.parameters, f"input {tensor.name!r}")
        dtype = dtype_of(tensor.datatype, tensor=tensor.name)
        shape = checked_shape(list(tensor.shape), tensor=tensor.name)
        if not raw:
            inputs[tensor.name] = _array_from_contents(tensor, dtype, shape)
        elif tensor.HasField("contents"):
            raise InputError(f"input {tensor.name!r} has both contents and raw_input_contents; omit one of them")
        else:
            inputs[tensor.name] = array_from_bytes(raw[index], dtype, shape, tensor=tensor.name)
    for each in request.outputs:
        _parameters(each.parameters, f"output {each.name!r}")
    wanted = [each.name for each in request.outputs]
    once(wanted, what="output")
    return Call(inputs, tuple(wanted) or None, request.id, timeout_of(parameters))


def parsed_request(data: bytes) -> Any:
    """Parse bytes as a ``ModelInferRequest``; raises protobuf's ``DecodeError``."""
    return _ModelInferRequest.FromString(data)


def write_answer(answer: Answer) -> Any:
    """Return a response as a ``ModelInferResponse``, with its tensors as raw bytes."""
    response = _ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for name, array in answer.outputs.items():
        response.outputs.add(name=name, datatype=datatype_name(array.dtype), shape=array.shape)
        response.raw_output_contents.append(bytes(bytes_from_array(array)))
    return response


def _parameters(fields: Mapping[str, Any], of: str) -> dict[str, Any]:
    if not fields:
        return {}
    found = {
        name: getattr(value, value.WhichOneof("parameter_choice") or "bool_param") for name, value in fields.items()
    }
    check_parameters(found, of=of)
    return found


def _array_from_contents(tensor: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InputError(f"input {tensor.name!r}: {tensor.datatype} must be sent in raw_input_contents")
    values = getattr(tensor.contents, field)
    if len(values) != math.prod(shape):
        raise InputError(
            f"input {tensor.name!r}: shape {list(shape)} needs {math.prod(shape):,} values, {field} has {len(values):,}"
        )
    if dtype == STRING:
        return strings([text_of(each, tensor=tensor.name) for each in values], shape)
    wide: Array = np.array(values, {"i": np.int64, "u": np.uint64}.get(dtype.kind, dtype))
    array = wide.astype(dtype, copy=False)
    if array is not wide and dtype.kind in "iu" and (array != wide).any():
        raise InputError(f"input {tensor.name!r}: a value is out of range for {tensor.datatype}")
    return array.reshape(shape)
