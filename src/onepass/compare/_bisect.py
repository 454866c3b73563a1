"""Find the first inner tensor in which two ONNX graphs differ, and the nodes that bring the difference in."""

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
    """Compare two ONNX graphs tensor by tensor and find where they part.

    Every tensor that both graphs have under one name is made an output of each, a few at a time. Then each node that
    is followed by a jump in the error is run alone, fed with what the first graph computes before it, which tells
    what it adds itself from what it was handed. At last the worst nodes of the second graph are exchanged for the
    first graph's, 1, 2, 4 … of them, until the outputs agree: the shortest such list is what to keep in float32.

    On ONNX Runtime's CPU provider a float16 node often computes in float32 and rounds what it returns, so this finds
    what rounding and range do to a model, not what a GPU's own accumulation does.

    Args:
        first: The graph that is taken to be right: a path, an `OnnxGraph`, or a `ModelChoice`; what is no ONNX yet is
            converted.
        second: The graph that differs from it.
        cases: Inputs to run on.
        threshold: Relative error above which an inner tensor differs: by default 1e-2 if a graph computes in float16
            or bfloat16, otherwise 1e-4.
        options: `atol`, `rtol`, `agreement`, `outputs` and `names` as `compare` takes them.

    Raises:
        UnsupportedModelError: One of the models is no ONNX graph, such as an engine, whose inside cannot be seen.
        OnepassError: As `compare` raises them.
    """
    choices = [each if isinstance(each, ModelChoice) else ModelChoice(each) for each in (first, second)]
    with _graph_of(choices[0]) as left, _graph_of(choices[1]) as right:
        comparison = compare(*choices, cases=cases, **options)
        threshold = _default_threshold(left, right) if threshold is None else threshold
        if comparison.passed:
            return Bisection(comparison, threshold, notes=("every output is within tolerance; nothing to look for",))
        search = Search(left, right, cases, options.get("names") or {}, threshold)
        steps = tuple(search.steps())
        if not steps:
            note = "the two graphs share no inner tensor by name, so there is nothing to look at between the outputs"
            return Bisection(comparison, threshold, notes=(note,))
        suspects = search.suspects(steps)
        keep, healed, notes = Cure(left, right, lambda graph: compare(left, graph, cases=cases, **options)).find(
            steps, suspects
        )
        return Bisection(comparison, threshold, steps, suspects, keep, healed, notes)


@contextmanager
def _graph_of(choice: ModelChoice) -> Iterator[OnnxGraph]:
    """Open a model as a graph, converted first if need be."""
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
        f"{choice}: bisecting looks inside two ONNX graphs, and this is none. An engine shows its inside if it is "
        "built with every tensor marked as an output, onepass.build(mark_all_outputs=True); compare that as it is"
    )


def _default_threshold(*graphs: OnnxGraph) -> float:
    half = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    for graph in graphs:
        if half.intersection(element_types(graph.proto).values()):
            return 1e-2
    return 1e-4
