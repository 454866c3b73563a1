"""Tensors of TensorFlow graphs: names, specs and dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from onepass._errors import OutputNameError, UnsupportedModelError
from onepass.tensors import TensorSpec, no_dense_tensor, no_such_name


def in_order(names: Any) -> list[str]:
    """Sort names with numbers by value, because TensorFlow stores no order."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def plain_name(tensor: Any) -> str:
    """Return a tensor's name without the suffix of a first output, ``:0``."""
    return str(tensor.name).removesuffix(":0")


def named_tensors(session: Any, names: tuple[str, ...] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a graph's tensors of these names, except for known ones.

    Raises:
        OutputNameError: The graph has no tensor of this name.
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
    """Return the outputs with names that denote one tensor each.

    An output with the name of an input is replaced by that input if it is a copy of it; otherwise it gets the suffix
    ``_out``.
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
    """Yield every tensor that these depend on, each once, without following those in `stop`."""
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
    """Return why tf2onnx cannot translate a tensor; None for numbers and booleans."""
    dtype = tensor.dtype.base_dtype
    is_any = dtype in (tf.string, tf.resource, tf.variant) or dtype.is_quantized
    return f"{dtype.name}, which tf2onnx does not translate" if is_any else None


def spec_of(name: str, tensor: Any) -> TensorSpec:
    """Return name, dtype and shape of a TensorFlow tensor.

    Raises:
        UnsupportedModelError: The tensor contains strings, or is a resource.
    """
    kind = untranslated(tensor)
    if kind is not None:
        raise UnsupportedModelError(no_dense_tensor(name, kind))
    dtype = tensor.dtype.base_dtype
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpec(name, np.dtype(dtype.as_numpy_dtype), shape)
