"""Find the first inner tensor in which two ONNX graphs differ, and the nodes that cause the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx

from onepass._errors import UnsupportedModelError
from onepass.compare._cases import Case
from onepass.compare._compare import compare
from onepass.compare._cure import Cure
from onepass.compare._search import Search
from onepass.compare._steps import Bisection
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.graph.values import element_types
from onepass.opening import ModelChoice, runnable
from onepass.runtime import Session


def bisect(
    first: Any, second: Any, *, cases: Sequence[Case], threshold: float | None = None, **options: Any
) -> Bisection:
    """Compare two ONNX graphs tensor by tensor and find where they diverge.

    Every tensor whose name occurs in both graphs is made an output of each, a few at a time. Each node after which the
    error jumps then runs alone, on the values that the first graph computes before it. This separates the node's own
    error from the error that it inherits. Finally, the worst nodes of the second graph are replaced by the first
    graph's, 1, 2, 4 … of them, until the outputs agree. The shortest such list names the nodes to keep in float32.

    On ONNX Runtime's CPU provider, a float16 node often computes in float32 and rounds its result. The search therefore
    shows the effects of rounding and range, not those of a GPU's accumulation.

    Args:
        first: The reference graph: a path, an `OnnxGraph`, or a `ModelChoice`. Other formats are converted to ONNX.
        second: The graph that differs from it.
        cases: Inputs to run on.
        threshold: Relative error above which an inner tensor differs. The default is 1e-2 if a graph computes in
            float16 or bfloat16, otherwise 1e-4.
        options: `atol`, `rtol`, `agreement`, `outputs` and `names`, as for `compare`.

    Raises:
        UnsupportedModelError: One of the models is not an ONNX graph, for example an engine, whose inner tensors are
            not accessible.
        OnepassError: As raised by `compare`.
    """
    choices = [each if isinstance(each, ModelChoice) else ModelChoice(each) for each in (first, second)]
    with _graph_of(choices[0]) as left, _graph_of(choices[1]) as right:
        comparison = compare(*choices, cases=cases, **options)
        threshold = _default_threshold(left, right) if threshold is None else threshold
        if comparison.passed:
            return Bisection(comparison, threshold, notes=("every output is within tolerance; nothing to search for",))
        search = Search(left, right, cases, options.get("names") or {}, threshold)
        steps = tuple(search.steps())
        if not steps:
            note = "no inner tensor has the same name in both graphs, so only the outputs can be compared"
            return Bisection(comparison, threshold, notes=(note,))
        suspects = search.suspects(steps)
        keep, healed, notes = Cure(left, right, lambda graph: compare(left, graph, cases=cases, **options)).find(
            steps, suspects
        )
        return Bisection(comparison, threshold, steps, suspects, keep, healed, notes)


@contextmanager
def _graph_of(choice: ModelChoice) -> Iterator[OnnxGraph]:
    """Open a model as a graph; convert it first if needed."""
    if isinstance(choice.model, Session):
        raise UnsupportedModelError(_no_inside(choice))
    with runnable(choice.unopened, trust=choice.trust) as model:
        if isinstance(model, OnnxGraph):
            yield model
            return
        if format_of(model) is not Format.ONNX:
            raise UnsupportedModelError(_no_inside(choice))
        yield OnnxGraph.from_bytes(model) if isinstance(model, bytes) else OnnxGraph.load(model)


def _no_inside(choice: ModelChoice) -> str:
    return (
        f"{choice}: bisecting needs two ONNX graphs, and this model is not one. An engine exposes its inner tensors "
        "only if every tensor is built as an output, onepass.build(mark_all_outputs=True); compare such an engine as "
        "usual"
    )


def _default_threshold(*graphs: OnnxGraph) -> float:
    half = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    for graph in graphs:
        if half.intersection(element_types(graph.proto).values()):
            return 1e-2
    return 1e-4
