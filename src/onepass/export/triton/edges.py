"""Inputs and outputs as Triton declares them: data types, sizes without the batch, and how many items make a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onepass._errors import InputError, UnsupportedModelError
from onepass.engine.shapes import Profile
from onepass.export.triton.text import Message, Word
from onepass.tensors import DTYPES, STRING, Dim, Signature, TensorSpec, dtype_name

_FREE = -1  # a size that may differ from call to call
_TYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bfloat16": "BF16",
}  # fmt: skip
TYPE_OF = {STRING: "STRING", **{DTYPES[name]: word for name, word in _TYPES.items()}}
"""Triton's word for a dtype, where it has one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How many items one call may have.

    Attributes:
        most: Items at most; 0 where the model takes no batches that can be put together and taken apart.
        why_none: What stands in the way, if it is 0.
    """

    most: int
    why_none: str = ""


def declared(kind: str, spec: TensorSpec, *, batch: Batch, scalars: bool = False, values: bool = False) -> Message:
    """Return an input or output as ``config.pbtxt`` has it.

    Args:
        kind: ``"input"`` or ``"output"``, for errors.
        spec: What it is, by the name that it is declared with.
        batch: Whether its first dimension counts items, which Triton does not declare.
        scalars: Whether whatever runs the model makes [1] of [] and back, since Triton has no scalars.
        values: Whether the engine takes its values for shapes.

    Raises:
        UnsupportedModelError: Triton has no such tensors; the message names it.
    """
    if spec.dtype not in TYPE_OF:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} is {dtype_name(spec.dtype)}, which Triton does not have; cast it in the model to "
            "float32, or choose outputs without it"
        )
    if spec.shape is None:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} has no known rank, and Triton has to know how many dimensions there are; give the "
            "model one: onepass.convert(shapes=…)"
        )
    sizes = spec.shape[1:] if batch.most else spec.shape
    dims = [dim if isinstance(dim, int) and dim > 0 else _FREE for dim in sizes]
    message: dict[str, Any] = {"name": spec.name, "data_type": Word(f"TYPE_{TYPE_OF[spec.dtype]}"), "dims": dims or [1]}
    if not dims and batch.most:
        message["reshape"] = {"shape": []}
    elif not dims and not scalars:
        raise UnsupportedModelError(
            f"{kind} {spec.name!r} is a scalar, which Triton does not have; give it a dimension in the model, or let "
            "onepass run the model in Triton: backend='python'"
        )
    if values:
        message["is_shape_tensor"] = True
    return message


def check_names(kind: str, names: Iterable[str]) -> None:
    """Make sure that no name is declared twice, which Triton does not notice.

    Raises:
        InputError: One is.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{kind} {name!r} would be declared twice in Triton; rename one of them in the model")
        seen.add(name)


def batch_of(signature: Signature, wanted: int | None, *, most: int, apart: Callable[[], str]) -> Batch:
    """Return how many items a call may have.

    Args:
        signature: Inputs and outputs of the model.
        wanted: What the user wants; None where that is left to us, 0 for no batches.
        most: What it may be at most, or is where nothing is wanted.
        apart: Says what else is in the way, "" if nothing is; asked once first dimensions are right.

    Raises:
        InputError: A batch is wanted, and there cannot be any.
    """
    if wanted == 0:
        return Batch(0, "max_batch=0 says so")
    why = _no_batch(signature, asked=wanted is not None) or apart()
    if why and wanted:
        raise InputError(f"max_batch={wanted}: {why}, so that requests cannot be put together; leave it out")
    return Batch(0, why) if why else Batch(wanted or most)


def _no_batch(signature: Signature, *, asked: bool) -> str:
    edges = [("input", spec) for spec in signature.inputs] + [("output", spec) for spec in signature.outputs]
    for kind, spec in edges:
        if not spec.shape:
            return f"{kind} {spec.name!r} has no dimension that could count items"
        if isinstance(spec.shape[0], int):
            return f"the first dimension of {kind} {spec.name!r} is always {spec.shape[0]}"
        if spec.shape[0] in spec.shape[1:] and spec.shape[0] is not None:
            return f"the first dimension of {kind} {spec.name!r}, {spec.shape[0]}, is another one of it too"
    first: dict[Dim, str] = {}
    for kind, spec in edges:
        first.setdefault((spec.shape or ())[0], f"{kind} {spec.name!r}")
    if len(first) > 1:
        (one, here), (other, there) = list(first.items())[:2]
        return f"the first dimension is {one or '?'} in {here} and {other or '?'} in {there}"
    return "first dimensions have no names, so nothing says that they are one" if None in first and not asked else ""


def engine_batch(signature: Signature, profiles: Sequence[Profile], wanted: int | None) -> Batch:
    """Return how many items a call to an engine may have; see `batch_of`.

    Raises:
        InputError: A batch is wanted that its profiles do not hold.
    """
    reach, why = _reach(profiles)
    batch = batch_of(signature, wanted, most=reach, apart=lambda: why)
    if batch.most > reach:
        raise InputError(
            f"max_batch={batch.most}: the engine's profiles hold up to {reach} items; ask for less, or build it for "
            f"more: onepass.build(batch=(1, {batch.most}, {batch.most}))"
        )
    return batch


def _reach(profiles: Sequence[Profile]) -> tuple[int, str]:
    """Return how many items profiles hold, with no number left out from 1 up; if they do not, why."""
    for profile in profiles:
        if profile.values:
            return 0, f"input {next(iter(profile.values))!r} shapes other tensors by its values"
    reach = 0
    ranges = [profile.shapes.values() for profile in profiles if all(each.min for each in profile.shapes.values())]
    for low, high in sorted((max(e.min[0] for e in each), min(e.max[0] for e in each)) for each in ranges if each):
        reach = max(reach, high) if low <= reach + 1 else reach
    return reach, "" if reach else "no profile of the engine holds a single item"


def example_shapes(signature: Signature, batch: Batch, profiles: Sequence[Profile] = ()) -> dict[str, list[int]] | None:
    """Return a shape for each input, without the batch, to warm the model up with; None where sizes are not known."""
    found = {}
    for spec in signature.inputs:
        best = profiles[0].shapes[spec.name].opt if profiles else spec.shape or ()
        dims = [dim for dim in (best[1:] if batch.most else best) if isinstance(dim, int)]
        if spec.shape is None or len(dims) < len(best) - bool(batch.most) or 0 in dims:
            return None
        found[spec.name] = dims
    return found


def in_python(dtype: np.dtype[Any]) -> bool:
    """Whether Triton's Python backend hands over arrays of a dtype; it does not know bfloat16, which NumPy has not."""
    return dtype in TYPE_OF and dtype.name != "bfloat16"
