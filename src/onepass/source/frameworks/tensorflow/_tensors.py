"""Tensors of TensorFlow's graphs: their names, their specs, and what they are computed from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from onepass._errors import OutputNameError, UnsupportedModelError
from onepass.tensors import TensorSpec, no_dense_tensor, no_such_name


def in_order(names: Any) -> list[str]:
    """Sort names as people do, numbers by their value: TensorFlow itself keeps no order."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def plain_name(tensor: Any) -> str:
    """Return a tensor's name, without the number of the operator's only output."""
    return str(tensor.name).removesuffix(":0")


def named_tensors(session: Any, names: tuple[str, ...] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return those tensors of a graph, by name, that are not known yet.

    Raises:
        OutputNameError: The graph has none of that name.
    """
    found = {}
    for name in names or ():
        if name in known:
            continue
        try:
            found[name] = session.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        except (KeyError, ValueError) as error:
            operations = session.graph.get_operations()
            tensors = tuple(plain_name(each) for operation in operations for each in operation.outputs)
            raise OutputNameError(no_such_name("output", name, tuple(known) or tensors)) from error
    return found


def distinct(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs under names that mean one tensor each.

    An output that has the name of an input is that input where it is a copy of it, and gets ``_out`` behind its name
    where it is something else.
    """
    named = {}
    for name, tensor in outputs.items():
        if name not in inputs:
            named[name] = tensor
        elif _original(tensor).name == inputs[name].name:
            named[name] = inputs[name]
        else:
            named[f"{name}_out"] = tensor
    return named


def _original(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def upstream(tensors: Iterable[Any], *, stop: Iterable[Any] = ()) -> Iterator[Any]:
    """Yield every tensor that these are computed from, each once, not looking behind those in `stop`."""
    ends = {tensor.name for tensor in stop}
    seen: set[str] = set()
    ahead = list(tensors)
    while ahead:
        tensor = ahead.pop()
        if tensor.name in seen or tensor.name in ends:
            continue
        seen.add(tensor.name)
        yield tensor
        ahead.extend(tensor.op.inputs)


def untranslated(tensor: Any) -> str | None:
    """Say what a tensor is of that tf2onnx translates none; None where it is of numbers or truth values."""
    dtype = tensor.dtype.base_dtype
    is_any = dtype in (tf.string, tf.resource, tf.variant) or dtype.is_quantized
    return f"{dtype.name}, which tf2onnx does not translate" if is_any else None


def spec_of(name: str, tensor: Any) -> TensorSpec:
    """Return name, dtype and shape of a tensor of TensorFlow.

    Raises:
        UnsupportedModelError: It holds strings, or is a resource.
    """
    kind = untranslated(tensor)
    if kind is not None:
        raise UnsupportedModelError(no_dense_tensor(name, kind))
    dtype = tensor.dtype.base_dtype
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(name, np.dtype(dtype.as_numpy_dtype), shape)
