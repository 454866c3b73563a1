"""Triton's declarations of inputs and outputs: data types, sizes without the batch dimension, maximum batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onepass._errors import InputError, UnsupportedModelError
from onepass.engine.shapes import Profile
from onepass.export.triton.text import Message, Word
from onepass.tensors import DTYPES, STRING, Dim, Signature, TensorSpec, dtype_name

_FREE = -1  # a dynamic size
_TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bfloat16": "BF16",
}  # fmt: skip
TYPE_OF = {STRING: "STRING", **{DTYPES[name]: word for name, word in _TYPES.items()}}
"""Triton's names of the dtypes that it supports."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The maximum number of items per call.

    Attributes:
        most: Maximum items; 0 if batches cannot be joined and split.
        why_none: The reason if `most` is 0.
    """

    most: int
    why_none: str = ""


def declared(kind: str, spec: TensorSpec, *, batch: Batch, scalars: bool = False, values: bool = False) -> Message:
    """Return the ``config.pbtxt`` declaration of an input or output.

    Args:
        kind: ``"input"`` or ``"output"``, for errors.
        spec: Its spec, with the name to declare.
        batch: Whether the first dimension is the batch dimension, which Triton does not declare.
        scalars: Whether the backend converts scalars to [1] and back, because Triton has no scalars.
        values: Whether the engine uses its values as shapes.

    Raises:
        UnsupportedModelError: Triton does not support the tensor; the message names it.
    """
    if spec.dtype not in TYPE_OF:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} is {dtype_name(spec.dtype)}, which Triton does not support; cast it to float32 in "
            "the model, or choose outputs without it"
        )
    if spec.shape is None:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} has an unknown rank, but Triton needs the number of dimensions; set the shape: "
            "onepass.convert(shapes=…)"
        )
    sizes = spec.shape[1:] if batch.most else spec.shape
    dims = [dim if isinstance(dim, int) and dim > 0 else _FREE for dim in sizes]
    message: dict[str, Any] = {"name": spec.name, "data_type": Word(f"TYPE_{TYPE_OF[spec.dtype]}"), "dims": dims or [1]}
    if not dims and batch.most:
        message["reshape"] = {"shape": []}
    elif not dims and not scalars:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} is a scalar, which Triton does not support; give it a dimension in the model, or "
            "let onepass run the model in Triton: backend='python'"
        )
    if values:
        message["is_shape_tensor"] = True
    return message


def check_names(kind: str, names: Iterable[str]) -> None:
    """Check that no name is declared twice, which Triton does not report.

    Raises:
        InputError: A name is declared twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{kind} {name!r} would be declared twice in Triton; rename one of them in the model")
        seen.add(name)


def batch_of(signature: Signature, wanted: int | None, *, most: int, apart: Callable[[], str]) -> Batch:
    """Return the maximum number of items per call.

    Args:
        signature: The model's signature.
        wanted: The user's choice; None for the default, 0 for no batches.
        most: The maximum, and the default.
        apart: Returns another reason against batching, or ""; called only if the first dimensions allow batching.

    Raises:
        InputError: The user wants batches, but they are impossible.
    """
    if wanted == 0:
        return Batch(0, "disabled by max_batch=0")
    why = _no_batch(signature, asked=wanted is not None) or apart()
    if why and wanted:
        raise InputError(f"max_batch={wanted}: requests cannot be batched, because {why}; omit the option")
    return Batch(0, why) if why else Batch(wanted or most)


def _no_batch(signature: Signature, *, asked: bool) -> str:
    edges = [("input", spec) for spec in signature.inputs] + [("output", spec) for spec in signature.outputs]
    for kind, spec in edges:
        if not spec.shape:
            return f"{kind} {spec.name!r} has no batch dimension"
        if isinstance(spec.shape[0], int):
            return f"the first dimension of {kind} {spec.name!r} is fixed at {spec.shape[0]}"
        if spec.shape[0] in spec.shape[1:] and spec.shape[0] is not None:
            return f"the first dimension of {kind} {spec.name!r}, {spec.shape[0]}, occurs again in its shape"
    first: dict[Dim, str] = {}
    for kind, spec in edges:
        first.setdefault((spec.shape or ())[0], f"{kind} {spec.name!r}")
    if len(first) > 1:
        (one, here), (other, there) = list(first.items())[:2]
        return f"the first dimension of {here} is {one or '?'}, but that of {there} is {other or '?'}"
    return "the first dimensions have no names, so they may differ" if None in first and not asked else ""


def engine_batch(signature: Signature, profiles: Sequence[Profile], wanted: int | None) -> Batch:
    """Return the maximum number of items per call to an engine; see `batch_of`.

    Raises:
        InputError: The batch exceeds the engine's profiles.
    """
    reach, why = _reach(profiles)
    batch = batch_of(signature, wanted, most=reach, apart=lambda: why)
    if batch.most > reach:
        raise InputError(
            f"max_batch={batch.most}: the engine's profiles allow at most {reach} items; use a smaller batch, or build "
            f"the engine for a larger one: onepass.build(batch=(1, {batch.most}, {batch.most}))"
        )
    return batch


def _reach(profiles: Sequence[Profile]) -> tuple[int, str]:
    """Return how many items the profiles allow, without gaps from 1 up; and the reason if they allow none."""
    for profile in profiles:
        if profile.values:
            return 0, f"the values of input {next(iter(profile.values))!r} set the shapes of other tensors"
    reach = 0
    ranges = [profile.shapes.values() for profile in profiles if all(each.min for each in profile.shapes.values())]
    for low, high in sorted((max(e.min[0] for e in each), min(e.max[0] for e in each)) for each in ranges if each):
        reach = max(reach, high) if low <= reach + 1 else reach
    return reach, "" if reach else "no profile of the engine allows a single item"


def example_shapes(signature: Signature, batch: Batch, profiles: Sequence[Profile] = ()) -> dict[str, list[int]] | None:
    """Return a warm-up shape for each input, without the batch dimension; None if sizes are unknown."""
    found = {}
    for spec in signature.inputs:
        best = profiles[0].shapes[spec.name].opt if profiles else spec.shape or ()
        dims = [dim for dim in (best[1:] if batch.most else best) if isinstance(dim, int)]
        if spec.shape is None or len(dims) < len(best) - bool(batch.most) or 0 in dims:
            return None
        found[spec.name] = dims
    return found


def in_python(dtype: np.dtype[Any]) -> bool:
    """Whether Triton's Python backend supports a dtype; it does not support bfloat16, which NumPy lacks."""
    return dtype in TYPE_OF and dtype.name != "bfloat16"
