"""Which nodes of one graph, exchanged for another's, bring its outputs back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from onepass._errors import OnepassError
from onepass.compare._compare import Comparison
from onepass.compare._steps import Step
from onepass.graph import OnnxGraph
from onepass.graph.splice import spliced


class Cure:
    """Nodes of one graph tried in place of another's.

    Args:
        left: The graph that is taken to be right.
        right: The graph whose nodes are exchanged.
        check: Compares a graph with the first one.
    """

    def __init__(self, left: OnnxGraph, right: OnnxGraph, check: Callable[[OnnxGraph], Comparison]) -> None:
        self._left, self._right, self._check = left, right, check

    def find(
        self, steps: Sequence[Step], suspects: Sequence[Step]
    ) -> tuple[tuple[Step, ...], Comparison | None, tuple[str, ...]]:
        """Exchange nodes for the first graph's, more and more of them, until the outputs agree.

        First the suspects, worst first; if all of them are not enough, the last nodes before the outputs, half of the
        graph at most, since what those round nothing evens out.

        Returns:
            The fewest nodes that do, none if no number of them does; the comparison with these; what could not be done.
        """
        notes: list[str] = []
        worst = [step for step in suspects if self._exchangeable(step, notes)]
        last = [step for step in reversed(steps[len(steps) // 2 :]) if self._exchangeable(step, [])]
        for order in (worst, last):
            good = _fewest(len(order), partial(self._healed, order))
            if good is not None:
                return tuple(order[: good[0]]), good[1], tuple(notes)
            if order is worst and worst:
                notes.append(f"exchanging the {len(worst)} nodes that add most does not bring every output back")
        notes.append(
            "exchanging the second half of the graph does not either: the error has no few sources, and these graphs "
            "agree only within a wider tolerance"
        )
        return (), None, tuple(notes)

    def _exchangeable(self, step: Step, notes: list[str]) -> bool:
        problem = spliced(self._left, self._right, [step.tensor])
        if isinstance(problem, str):
            notes.append(f"{step.tensor} cannot be exchanged: {problem}")
        return not isinstance(problem, str)

    def _healed(self, steps: Sequence[Step], count: int) -> Comparison | None:
        graph = spliced(self._left, self._right, [step.tensor for step in steps[:count]])
        if isinstance(graph, str):
            return None
        try:
            comparison = self._check(graph)
        except OnepassError:
            return None  # a mixture that does not run heals nothing
        return comparison if comparison.passed else None


def _fewest(count: int, attempt: Callable[[int], Comparison | None]) -> tuple[int, Comparison] | None:
    """Return the least number for which the attempt succeeds, by doubling and then halving; None if none does."""
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
