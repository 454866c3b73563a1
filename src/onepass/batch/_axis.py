"""Rows and passes: which axis of a model's inputs and outputs counts rows, and what one row is."""

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
    """How rows become the inputs of a pass, and its outputs rows again.

    Attributes:
        inputs: What one row gives each input, by name.
        outputs: What one row has of each output, by name, in the model's order.
        rows: The most rows of one pass.
        exact: Whether a pass takes just so many rows; what is missing is filled up, and its outputs dropped.
        stacked: Whether rows lie along a first axis of all inputs; if not, a row is the whole input of a pass.
        split: Outputs that have that axis too.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    rows: int
    exact: bool
    stacked: bool
    split: frozenset[str]

    @classmethod
    def of(cls, signature: Signature, wanted: Sequence[str] | None, batch: int) -> Axis:
        """Find the axis: a first one of all inputs that is dynamic, or has one fixed size.

        An output whose first axis is not that one belongs to a pass as a whole, so that a pass then takes one row.

        Args:
            signature: Of the model.
            wanted: Names of the outputs to keep; None keeps all.
            batch: The most rows of one pass.

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
        """Return one row's inputs, each as `inputs` has it; a first axis of 1 is taken off.

        Raises:
            InputError: One is missing, unknown, or of another dtype or shape.
        """
        for name in feeds:
            if name not in self.inputs:
                raise InputError(no_such_name("input", name, tuple(self.inputs)))
        return {name: self._checked(name, spec, feeds) for name, spec in self.inputs.items()}

    def _checked(self, name: str, spec: TensorSpec, feeds: Mapping[str, Any]) -> Array:
        if name not in feeds:
            raise InputError(f"there is nothing for input {name!r} ({spec}); given: {', '.join(feeds) or 'nothing'}")
        array = np.asarray(feeds[name])
        if array.dtype.kind in "UT":
            array = array.astype(object)
        if self.stacked and spec.shape is not None and array.ndim == len(spec.shape) + 1 and array.shape[0] == 1:
            array = array[0, ...]
        if array.dtype != spec.dtype or not spec.allows(array.shape):
            came = f"{dtype_name(array.dtype)} {shape_text(array.shape)}"
            hint = "; cast the column, or give preprocess=" if array.dtype != spec.dtype else ""
            raise InputError(f"input {name!r}: a row has {came}, and the model takes {spec} of each row{hint}")
        return array

    def feeds(self, rows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Return the inputs of one pass over rows whose arrays have the same shapes."""
        if not self.stacked:
            return dict(rows[0])
        filled = [*rows, *[rows[-1]] * (self.rows - len(rows))] if self.exact else rows
        return {name: np.stack([row[name] for row in filled]) for name in self.inputs}

    def rows_of(self, outputs: Outputs, count: int) -> list[dict[str, Array]]:
        """Return what each of `count` rows has of the outputs of a pass.

        Raises:
            InputError: An output has not as many rows as went in.
        """
        expected = self.rows if self.exact else count
        for name in self.split:
            array = outputs[name]
            if not array.ndim or array.shape[0] != expected:
                raise InputError(
                    f"output {name!r} has the shape {shape_text(array.shape)} where {expected} rows went in, so it "
                    "cannot be told which of it belongs to a row; leave it out, naming others with outputs=…"
                )
        return [
            {name: outputs[name][index, ...] if name in self.split else outputs[name] for name in self.outputs}
            for index in range(count)
        ]


_NONE = object()  # no first axis at all, or none that is known


def _lead(spec: TensorSpec) -> Any:
    return spec.shape[0] if spec.shape else _NONE


def _row_of(spec: TensorSpec) -> TensorSpec:
    shape: tuple[Dim, ...] = (spec.shape or ())[1:]
    return TensorSpec(spec.name, spec.dtype, shape)


def _may_be(lead: Any, leads: set[Any]) -> bool:
    """Whether a first axis counts rows as those of the inputs do: the same, or both dynamic and one without a name."""
    if lead in leads:
        return True
    dynamic = not isinstance(lead, int) and lead is not _NONE
    return dynamic and not any(isinstance(each, int) and each > 1 for each in leads) and (lead is None or None in leads)
