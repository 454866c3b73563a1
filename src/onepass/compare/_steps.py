"""The result of a search through two graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onepass.compare._compare import Comparison
from onepass.compare._difference import json_number


@dataclass(frozen=True, slots=True)
class Step:
    """One inner tensor that both graphs compute.

    Attributes:
        tensor: The tensor's name.
        node: Name of the node that computes it in the first graph; may be empty.
        operators: The operator that computes it in each graph.
        error: Norm of the difference over the norm of the tensor, including errors inherited from earlier nodes.
        max_abs: Largest absolute difference.
        own: The node's own error: as `error`, with the second graph's node run on the first graph's values. None where
            it was not measured.
        differences: Differences between the two nodes: operators, attributes, weights.
    """

    tensor: str
    node: str
    operators: tuple[str, str]
    error: float
    max_abs: float
    own: float | None = None
    differences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "tensor": self.tensor, "node": self.node, "operators": list(self.operators),
            "error": json_number(self.error), "max_abs": json_number(self.max_abs),
            "own_error": None if self.own is None else json_number(self.own), "differences": list(self.differences),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bisection:
    """The result of `bisect`.

    Attributes:
        comparison: The comparison of the outputs, before the search.
        threshold: An inner tensor differs if its error exceeds this value.
        steps: Every tensor that both graphs compute, in the order of computation.
        suspects: The steps whose own error exceeds the threshold, or a tenth of the largest own error; worst first.
        keep: The nodes to keep from the first graph so that every output is within tolerance: the fewest of the worst
            nodes for which this was measured. Empty if no number of them suffices.
        healed: The comparison with these nodes replaced.
        notes: What could not be done, and why.
    """

    comparison: Comparison
    threshold: float
    steps: tuple[Step, ...] = ()
    suspects: tuple[Step, ...] = ()
    keep: tuple[Step, ...] = ()
    healed: Comparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Step | None:
        """The first tensor that differs; None if no inner tensor does."""
        return next((step for step in self.steps if not step.error <= self.threshold), None)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "threshold": self.threshold,
            "first": None if self.first is None else self.first.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "suspects": [step.to_json() for step in self.suspects],
            "keep": [step.tensor for step in self.keep],
            "healed": None if self.healed is None else self.healed.to_json(),
            "notes": list(self.notes),
        }
