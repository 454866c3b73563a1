"""Find the nodes of one graph that, replaced by another graph's, bring its outputs back within tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from onepass._errors import OnepassError
from onepass.compare._compare import Comparison
from onepass.compare._steps import Step
from onepass.graph import OnnxGraph
from onepass.graph.splice import spliced


class Cure:
    """Tries nodes of one graph in place of another's.

    Args:
        left: The reference graph.
        right: The graph whose nodes are replaced.
        check: Compares a graph with the reference.
    """

    def __init__(self, left: OnnxGraph, right: OnnxGraph, check: Callable[[OnnxGraph], Comparison]) -> None:
        self._left, self._right, self._check = left, right, check

    def find(
        self, steps: Sequence[Step], suspects: Sequence[Step]
    ) -> tuple[tuple[Step, ...], Comparison | None, tuple[str, ...]]:
        """Replace nodes by the first graph's, more and more of them, until the outputs agree.

        The suspects come first, worst first. If all of them are not enough, the last nodes before the outputs follow,
        at most half of the graph: no later node evens out their rounding.

        Returns:
            The fewest nodes that suffice, empty if no number does; the comparison with these nodes; notes on what could
            not be done.
        """
        notes: list[str] = []
        worst = [step for step in suspects if self._exchangeable(step, notes)]
        last = [step for step in reversed(steps[len(steps) // 2 :]) if self._exchangeable(step, [])]
        for order in (worst, last):
            good = _fewest(len(order), partial(self._healed, order))
            if good is not None:
                return tuple(order[: good[0]]), good[1], tuple(notes)
            if order is worst and worst:
                notes.append(f"replacing the {len(worst)} nodes with the largest own error is not enough")
        notes.append(
            "replacing the second half of the graph does not help either: the error is spread over many nodes, and the "
            "graphs agree only within a wider tolerance"
        )
        return (), None, tuple(notes)

    def _exchangeable(self, step: Step, notes: list[str]) -> bool:
        problem = spliced(self._left, self._right, [step.tensor])
        if isinstance(problem, str):
            notes.append(f"{step.tensor} cannot be replaced: {problem}")
        return not isinstance(problem, str)

    def _healed(self, steps: Sequence[Step], count: int) -> Comparison | None:
        graph = spliced(self._left, self._right, [step.tensor for step in steps[:count]])
        if isinstance(graph, str):
            return None
        try:
            comparison = self._check(graph)
        except OnepassError:
            return None  # a mixture that does not run cannot help
        return comparison if comparison.passed else None


def _fewest(count: int, attempt: Callable[[int], Comparison | None]) -> tuple[int, Comparison] | None:
    """Return the least number for which the attempt succeeds, by doubling and then bisection; None if all fail."""
    tried, size = 0, 1
    found: tuple[int, Comparison] | None = None
    while found is None and tried < count:
        size = min(size, count)
        result = attempt(size)
        if result is None:
            tried, size = size, size * 2
        else:
            found = (size, result)
    while found is not None and found[0] - tried > 1:
        middle = (tried + found[0]) // 2
        result = attempt(middle)
        if result is None:
            tried = middle
        else:
            found = (middle, result)
    return found
