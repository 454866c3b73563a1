"""Rows and passes: find the batch dimension of a model's inputs and outputs, and the shape of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass.outputs import Array, Outputs
from onepass.tensors import Dim, Signature, TensorSpec, dtype_name, no_such_name, shape_text


@dataclass(frozen=True, slots=True)
class Axis:
    """How to stack rows into the inputs of a pass, and to split its outputs into rows.

    Attributes:
        inputs: One row's part of each input, by name.
        outputs: One row's part of each output, by name, in the model's order.
        rows: Maximum rows per pass.
        exact: Whether a pass needs exactly this many rows; missing rows are padded, and their outputs dropped.
        stacked: Whether the first axis of all inputs is the batch dimension; if not, a row is a pass's whole input.
        split: Outputs that have the batch dimension, too.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    rows: int
    exact: bool
    stacked: bool
    split: frozenset[str]

    @classmethod
    def of(cls, signature: Signature, wanted: Sequence[str] | None, batch: int) -> Axis:
        """Find the batch dimension: the inputs' common first axis, dynamic or of one fixed size.

        An output without it belongs to the whole pass; passes then take one row each.

        Args:
            signature: The model's signature.
            wanted: Names of the outputs to keep; None keeps all.
            batch: Maximum rows per pass.

        Raises:
            OutputNameError: The model has no such output.
        """
        names = signature.output_names if wanted is None else signature.ordered_outputs(wanted)
        outputs = {spec.name: spec for spec in signature.outputs if spec.name in names}
        leads = {_lead(spec) for spec in signature.inputs}
        stacked = bool(leads) and not leads & {_NONE}
        sizes = {lead for lead in leads if isinstance(lead, int)}
        fixed = next(iter(sizes)) if len(leads) == len(sizes) == 1 else None
        stacked = stacked and (not sizes or fixed is not None) and len({lead for lead in leads if lead}) <= 1
        split = frozenset(name for name, spec in outputs.items() if stacked and _may_be(_lead(spec), leads))
        whole = len(split) < len(outputs)
        if fixed is not None and fixed > 1 and whole:  # the axis counts something else
            stacked, split, fixed = False, frozenset(), None
        rows = 1 if whole or not stacked else batch if fixed is None else fixed
        return cls(
            {spec.name: _row_of(spec) if stacked else spec for spec in signature.inputs},
            {name: _row_of(spec) if name in split else spec for name, spec in outputs.items()},
            rows, fixed is not None, stacked, split,
        )  # fmt: skip

    def checked(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """Return one row's inputs, checked against `inputs`; a first axis of size 1 is removed.

        Raises:
            InputError: An input is missing, unknown, or has the wrong dtype or shape.
        """
        for name in feeds:
            if name not in self.inputs:
                raise InputError(no_such_name("input", name, tuple(self.inputs)))
        return {name: self._checked(name, spec, feeds) for name, spec in self.inputs.items()}

    def _checked(self, name: str, spec: TensorSpec, feeds: Mapping[str, Any]) -> Array:
        if name not in feeds:
            raise InputError(f"missing input {name!r} ({spec}); got {', '.join(feeds) or 'nothing'}")
        array = np.asarray(feeds[name])
        if array.dtype.kind in "UT":
            array = array.astype(object)
        if self.stacked and spec.shape is not None and array.ndim == len(spec.shape) + 1 and array.shape[0] == 1:
            array = array[0, ...]
        if array.dtype != spec.dtype or not spec.allows(array.shape):
            came = f"{dtype_name(array.dtype)} {shape_text(array.shape)}"
            hint = "; cast the column, or use preprocess=" if array.dtype != spec.dtype else ""
            raise InputError(f"input {name!r}: expected {spec} per row, got {came}{hint}")
        return array

    def feeds(self, rows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Stack rows of equal shapes into the inputs of one pass."""
        if not self.stacked:
            return dict(rows[0])
        filled = [*rows, *[rows[-1]] * (self.rows - len(rows))] if self.exact else rows
        return {name: np.stack([row[name] for row in filled]) for name in self.inputs}

    def rows_of(self, outputs: Outputs, count: int) -> list[dict[str, Array]]:
        """Split the outputs of a pass into `count` rows.

        Raises:
            InputError: An output has a different number of rows than the inputs.
        """
        expected = self.rows if self.exact else count
        for name in self.split:
            array = outputs[name]
            if not array.ndim or array.shape[0] != expected:
                raise InputError(
                    f"output {name!r} has the shape {shape_text(array.shape)} for {expected} input rows, so it cannot "
                    "be split by row; omit it by naming the other outputs with outputs=…"
                )
        return [
            {name: outputs[name][index, ...] if name in self.split else outputs[name] for name in self.outputs}
            for index in range(count)
        ]


_NONE = object()  # no first axis, or unknown rank


def _lead(spec: TensorSpec) -> Any:
    return spec.shape[0] if spec.shape else _NONE


def _row_of(spec: TensorSpec) -> TensorSpec:
    shape: tuple[Dim, ...] = (spec.shape or ())[1:]
    return TensorSpec(spec.name, spec.dtype, shape)


def _may_be(lead: Any, leads: set[Any]) -> bool:
    """Whether a first axis can be the inputs' batch dimension: the same, or both dynamic and one of them unnamed."""
    if lead in leads:
        return True
    dynamic = not isinstance(lead, int) and lead is not _NONE
    return dynamic and not any(isinstance(each, int) and each > 1 for each in leads) and (lead is None or None in leads)
