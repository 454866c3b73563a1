"""The HTTP encoding of requests and responses: JSON, followed by the tensors sent as binary data."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._json import parsed_json
from onepass.outputs import Array
from onepass.serve.call import Answer, Call, check_parameters, once, timeout_of
from onepass.serve.datatypes import (
    Buffer,
    array_from_bytes,
    bytes_from_array,
    checked_shape,
    datatype_name,
    dtype_of,
    strings,
)
from onepass.serve.faults import Fault, Kind
from onepass.tensors import STRING

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header with the length of the JSON in front of the binary tensors; without it, the whole body is JSON."""

_JSON_TYPES: Mapping[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "O": {str}}
MOST_JSON_BYTES = 16 * 2**20
"""Maximum JSON per request: parsing it blocks the event loop."""


@dataclass(frozen=True, slots=True)
class Binary:
    """The outputs that a client wants as binary data.

    Attributes:
        default: The choice for outputs that the request does not mention.
        named: The choice by output name.
    """

    default: bool
    named: Mapping[str, bool]

    def __contains__(self, name: object) -> bool:
        return self.named.get(str(name), self.default)


def read_request(body: bytes, header_length: str | None) -> tuple[Call, Binary]:
    """Read a request.

    Args:
        body: The body.
        header_length: The value of the header `HEADER_LENGTH`; None if it is missing.

    Raises:
        InputError: The request is malformed; the message says how.
        Fault: The request needs an unsupported extension.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    if length > MOST_JSON_BYTES:
        raise Fault(
            Kind.TOO_LARGE,
            f"the request has {length:,} bytes of JSON; the limit is {MOST_JSON_BYTES:,}. Send large tensors as binary "
            f"data after the JSON, with the header {HEADER_LENGTH}",
        )
    try:
        data = parsed_json(body[:length])
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"the request is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError("expected a JSON object with 'inputs' as the request, got another JSON value")
    parameters = _parameters(data, "the request")
    tensors = _objects(data, "inputs")
    rest, inputs = memoryview(body)[length:], dict[str, Array]()
    names = [_name(tensor, "input") for tensor in tensors]
    once(names, what="input")
    for name, tensor in zip(names, tensors, strict=True):
        inputs[name], rest = _array(name, tensor, rest)
    if rest:
        raise InputError(f"{len(rest):,} extra bytes follow the tensors; the inputs' binary_data_size must cover them")
    asked = _objects(data, "outputs") if "outputs" in data else []
    wanted = [_name(each, "output") for each in asked]
    once(wanted, what="output")
    named = {}
    for name, each in zip(wanted, asked, strict=True):
        given = _parameters(each, f"output {name!r}")
        if "binary_data" in given:
            named[name] = _truth(given["binary_data"], "binary_data")
    request_id = data.get("id", "")
    if not isinstance(request_id, str):
        raise InputError("the request's 'id' must be a string")
    call = Call(inputs, tuple(wanted) or None, request_id, timeout_of(parameters))
    return call, Binary(_truth(parameters.get("binary_data_output", False), "binary_data_output"), named)


def write_answer(answer: Answer, binary: Collection[str] | Binary) -> tuple[bytes, int | None]:
    """Write a response.

    Returns:
        The body, and the length of its JSON part; None if the whole body is JSON.

    Raises:
        InputError: An output requested as JSON has a NaN or infinite value.
    """
    described, tail = [], list[Buffer]()
    for name, array in answer.outputs.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype_name(array.dtype), "shape": list(array.shape)}
        if name in binary:
            tail.append(bytes_from_array(array))
            entry["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            entry["data"] = _json_data(name, array)
        described.append(entry)
    data: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version, "outputs": described}
    if answer.id:
        data["id"] = answer.id
    head = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    return (b"".join([head, *tail]), len(head)) if tail else (head, None)


def _truth(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"the parameter {name!r} must be true or false, got {str(value)[:40]!r}")
    return value


def _length(word: str, most: int) -> int:
    length = int(word) if word.isascii() and word.isdigit() and len(word) < 19 else -1
    if not 0 <= length <= most:
        raise InputError(f"{HEADER_LENGTH}: expected a number of bytes, at most the body's {most:,}; got {word[:40]!r}")
    return length


def _objects(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = data.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"the request's {key!r} must be a list of objects")
    return found


def _name(tensor: Mapping[str, Any], what: str) -> str:
    name = tensor.get("name")
    if not isinstance(name, str):
        raise InputError(f"an {what} has no 'name'")
    return name


def _parameters(data: Mapping[str, Any], of: str) -> Mapping[str, Any]:
    found = data.get("parameters", {})
    if not isinstance(found, dict):
        raise InputError(f"{of}: 'parameters' must be an object")
    check_parameters(found, of=of)
    return found


def _array(name: str, tensor: Mapping[str, Any], rest: memoryview) -> tuple[Array, memoryview]:
    """Return an input, and the rest of the binary data."""
    dtype = dtype_of(tensor.get("datatype"), tensor=name)
    shape = checked_shape(tensor.get("shape"), tensor=name)
    size = _parameters(tensor, f"input {name!r}").get("binary_data_size")
    if size is None:
        return _array_from_json(tensor.get("data"), dtype, shape, name), rest
    if "data" in tensor:
        raise InputError(f"input {name!r} has both 'data' and binary_data_size; omit one of them")
    if type(size) is not int or not 0 <= size <= len(rest):
        raise InputError(f"input {name!r}: binary_data_size is {str(size)[:40]}, but only {len(rest):,} bytes are left")
    return array_from_bytes(rest[:size], dtype, shape, tensor=name), rest[size:]


def _array_from_json(data: Any, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    """Return a flat or nested list as an array."""
    if not isinstance(data, list):
        raise InputError(f"input {name!r} needs a list 'data' or the parameter 'binary_data_size'")
    flat: Sequence[Any] = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(each, list) for each in flat):
            raise InputError(f"input {name!r}: 'data' mixes lists and values")
        flat = list(chain.from_iterable(flat))
    if len(flat) != math.prod(shape):
        raise InputError(f"input {name!r}: shape {list(shape)} needs {math.prod(shape):,} values, got {len(flat):,}")
    allowed = _JSON_TYPES.get(dtype.kind, {int, float})
    odd = {type(each) for each in flat} - allowed
    if odd:
        words = " or ".join(sorted(kind.__name__ for kind in allowed))
        raise InputError(f"input {name!r}: {datatype_name(dtype)} needs {words} in JSON, got {odd.pop().__name__}")
    if dtype == STRING:
        return strings(flat, shape)
    try:
        wide: Array = np.array(flat, dtype if dtype.kind in "biu" else np.float64)
    except OverflowError:
        raise InputError(f"input {name!r}: a value is out of range for {datatype_name(dtype)}") from None
    if dtype.kind in "iu" and wide.size and not _same(wide, flat):
        raise InputError(f"input {name!r}: a value is out of range for {datatype_name(dtype)}")
    with np.errstate(over="ignore"):
        array = wide.astype(dtype, copy=False)
    if dtype.kind not in "biu" and not np.isfinite(array).all():  # JSON has finite numbers only
        raise InputError(f"input {name!r}: a value is out of range for {datatype_name(dtype)}")
    return array.reshape(shape)


def _same(array: Array, values: Sequence[int]) -> bool:
    """Whether no integer changed: in NumPy 1, out-of-range integers wrap around."""
    return int(array.min()) == min(values) and int(array.max()) == max(values)


def _json_data(name: str, array: Array) -> list[Any]:
    if array.dtype.kind not in "biuO":
        array = array.astype(np.float64)  # JSON numbers; exact for narrower floats
        if not np.isfinite(array).all():
            raise InputError(
                f"output {name!r} has NaN or infinite values, which JSON cannot represent; request the output as "
                "binary data, with the parameter binary_data"
            )
    values: list[Any] = array.reshape(-1).tolist()
    return values
