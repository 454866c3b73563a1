"""Find the first inner tensor in which two ONNX graphs differ, and the nodes that bring the difference in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference

from onepass._errors import OnepassError, UnsupportedModelError
from onepass.compare._cases import Case
from onepass.compare._compare import Comparison, Pairs, compare
from onepass.compare._difference import Meter, json_number
from onepass.compare._splice import node_differences, producers, spliced
from onepass.compare._tolerance import Tolerance
from onepass.formats import Format, format_of
from onepass.graph.model import OnnxGraph, spec_of
from onepass.graph.weights import subgraphs
from onepass.opening import ModelChoice, runnable
from onepass.outputs import Array
from onepass.runtime import Session, load
from onepass.tensors import TensorSpec

_BATCH = 32  # tensors exposed at once: their values are all in memory together
_SUSPECTS = 64  # nodes whose own error is measured; each takes a session of its own
_UNBOUNDED = Tolerance(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One inner tensor that both graphs compute.

    Attributes:
        tensor: Its name.
        node: Name of the node that computes it in the first graph, may be empty.
        operators: The operator that computes it in either graph.
        error: Norm of the difference over the norm of the tensor, carried along from all nodes before included.
        max_abs: Greatest absolute difference.
        own: The same as `error` if the second graph's node is fed what the first graph has there: what this node
            itself adds. None where it was not measured.
        differences: What differs between the two nodes: operators, attributes, weights.
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
    """What `bisect` found.

    Attributes:
        comparison: Of the outputs, before anything was looked for.
        threshold: An inner tensor differs if its error is above this.
        steps: Every tensor that both graphs compute, in the order of computation.
        suspects: Those whose own error is above the threshold, or a tenth of the greatest, worst first.
        keep: What to take from the first graph, in place of the second's, so that every output is within tolerance:
            the fewest of the worst nodes for which that was seen to hold. Empty if no number of them does.
        healed: The comparison with these nodes exchanged.
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
        """The first tensor that differs, None if no inner tensor does."""
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
        search = _Search(left, right, cases, options.get("names") or {}, threshold)
        steps = tuple(search.steps())
        if not steps:
            note = "the two graphs share no inner tensor by name, so there is nothing to look at between the outputs"
            return Bisection(comparison, threshold, notes=(note,))
        suspects = search.suspects(steps)
        keep, healed, notes = search.cure(steps, suspects, lambda graph: compare(left, graph, cases=cases, **options))
        return Bisection(comparison, threshold, steps, suspects, keep, healed, notes)


@contextmanager
def _graph_of(choice: ModelChoice) -> Iterator[OnnxGraph]:
    """Open a model as a graph, converted first if need be."""
    if isinstance(choice.model, Session):
        raise UnsupportedModelError(_no_inside(choice))
    with runnable(choice.model) as model:
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
        types = {tensor.data_type for tensor in graph.proto.graph.initializer}
        types |= {spec.type.tensor_type.elem_type for spec in _types(graph).values()}
        if half & types:
            return 1e-2
    return 1e-4


def _types(graph: OnnxGraph) -> Mapping[str, onnx.ValueInfoProto]:
    inferred = shape_inference.infer_shapes(graph.proto).graph
    return {value.name: value for value in (*inferred.value_info, *inferred.input, *inferred.output)}


def _dense(graph: OnnxGraph, types: Mapping[str, onnx.ValueInfoProto]) -> dict[str, TensorSpec]:
    """Return those tensors that can be outputs: dense ones of numbers whose dtype ONNX can infer."""
    specs = {}
    for name in graph.tensor_names:
        try:
            specs[name] = spec_of(types[name])
        except (KeyError, UnsupportedModelError):
            continue
    return specs


class _Search:
    """Two graphs, what they share inside, and what they compute there."""

    def __init__(
        self, left: OnnxGraph, right: OnnxGraph, cases: Sequence[Case], names: Mapping[str, str], threshold: float
    ) -> None:
        self._left, self._right = left, right
        self._threshold = threshold
        pairs = Pairs(left.signature, right.signature, names=names, outputs=None)
        self._cases = [(case, pairs.feeds_of_second(case.feeds)) for case in cases]
        self._right_types = _types(right)
        here, there = _dense(left, _types(left)), _dense(right, self._right_types)
        self._specs = {name: (here[name], there[name]) for name in here if name in there}
        self._left_nodes, self._right_nodes = producers(left), producers(right)
        self._shared = [name for name in self._specs if name in self._left_nodes and name in self._right_nodes]

    def steps(self) -> Iterator[Step]:
        """Yield every shared tensor of inexact numbers with its error, in the first graph's order."""
        names = [name for name in self._shared if self._specs[name][0].dtype.kind not in "iub"]
        for start in range(0, len(names), _BATCH):
            yield from self._batch(names[start : start + _BATCH])

    def _batch(self, names: list[str]) -> Iterator[Step]:
        meters = {name: self._meter(name) for name in names}
        with load(_only(self._left, names)) as one, load(_only(self._right, names)) as other:
            for case, feeds in self._cases:
                ours, theirs = _fed(one, case.feeds), _fed(other, feeds)
                for name, meter in meters.items():
                    meter.add(case.name, ours[name], theirs[name])
        for name, meter in meters.items():
            node = self._left_nodes[name]
            operators = (node.op_type, self._right_nodes[name].op_type)
            found = meter.result()
            yield Step(name, node.name, operators, found.rms_rel, found.max_abs)

    def _meter(self, name: str) -> Meter:
        first, second = self._specs[name]
        return Meter(name, name, (first.dtype, second.dtype), _UNBOUNDED)

    def suspects(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Return the steps that add an error of their own, worst first."""
        errors = {step.tensor: step.error for step in steps}

        def jump(step: Step) -> float:
            before = max((errors[name] for name in self._left_nodes[step.tensor].input if name in errors), default=0.0)
            return step.error if step.error == before else step.error - before

        likely = sorted((step for step in steps if step.error > 0), key=jump, reverse=True)[:_SUSPECTS]
        own = self._own_errors([step.tensor for step in likely])
        measured = [replace(step, own=own[step.tensor]) for step in likely if step.tensor in own]
        measured.sort(key=lambda step: step.own or 0.0, reverse=True)
        if not measured:
            return ()
        least = min(self._threshold, (measured[0].own or 0.0) / 10)
        return tuple(self._explained(step) for step in measured if (step.own or 0.0) > least)

    def _explained(self, step: Step) -> Step:
        found = node_differences(self._left, self._right, self._left_nodes[step.tensor], self._right_nodes[step.tensor])
        return replace(step, differences=found)

    def _own_errors(self, tensors: Sequence[str]) -> dict[str, float]:
        """Return the error that the second graph adds on the way to each tensor, on the first graph's values.

        Tensors are left out where that way begins at something the graphs do not share, or does not run alone.
        """
        parts = {name: part for name in tensors if (part := self._part(name)) is not None}
        names = list(parts)
        found: dict[str, float] = {}
        for start in range(0, len(names), _BATCH // 4):
            batch = names[start : start + _BATCH // 4]
            needed = dict.fromkeys(chain.from_iterable((name, *parts[name].signature.input_names) for name in batch))
            with load(_only(self._left, needed)) as whole:
                truth = [(case.name, _fed(whole, case.feeds)) for case, _ in self._cases]
            for name in batch:
                error = self._own_error(name, parts[name], truth)
                if error is not None:
                    found[name] = error
        return found

    def _own_error(
        self, tensor: str, part: OnnxGraph, truth: Sequence[tuple[str, Mapping[str, Array]]]
    ) -> float | None:
        meter = self._meter(tensor)
        try:
            with load(part) as alone:
                for case, values in truth:
                    with np.errstate(over="ignore"):
                        feeds = {
                            spec.name: values[spec.name].astype(spec.dtype, copy=False)
                            for spec in alone.signature.inputs
                        }
                    meter.add(case, values[tensor], alone(feeds)[tensor])
        except OnepassError:
            return None
        return meter.result().rms_rel

    def _part(self, tensor: str) -> OnnxGraph | None:
        """Return what the second graph computes between shared tensors and this one, as a graph of its own."""
        source = self._right.proto.graph
        weights = {each.name for each in source.initializer}
        taken, inputs, used = {id(self._right_nodes[tensor])}, dict[str, None](), set[str]()
        waiting = [self._right_nodes[tensor]]
        while waiting:
            node = waiting.pop()
            if next(iter(subgraphs(node)), None) is not None:
                return None
            for name in filter(None, node.input):
                if name in weights:
                    used.add(name)
                elif name in self._specs:
                    inputs[name] = None
                elif name not in self._right_nodes:
                    return None
                elif id(self._right_nodes[name]) not in taken:
                    taken.add(id(self._right_nodes[name]))
                    waiting.append(self._right_nodes[name])
        graph = onnx.GraphProto(
            name="part",
            node=[node for node in source.node if id(node) in taken],
            input=[self._right_types[name] for name in inputs],
            output=[self._right_types[tensor]],
            initializer=[each for each in source.initializer if each.name in used],
        )
        proto = self._right.proto
        model = onnx.ModelProto(
            ir_version=proto.ir_version, opset_import=proto.opset_import, functions=proto.functions, graph=graph
        )
        return OnnxGraph(model, folder=self._right.folder)

    def cure(
        self, steps: Sequence[Step], suspects: Sequence[Step], check: Callable[[OnnxGraph], Comparison]
    ) -> tuple[tuple[Step, ...], Comparison | None, tuple[str, ...]]:
        """Exchange nodes for the first graph's, more and more of them, until the outputs agree.

        First the suspects, worst first; if all of them are not enough, the last nodes before the outputs, half of the
        graph at most, since what those round nothing evens out.
        """
        notes: list[str] = []
        worst = [step for step in suspects if self._exchangeable(step, notes)]
        last = [step for step in reversed(steps[len(steps) // 2 :]) if self._exchangeable(step, [])]
        for order in (worst, last):
            good = _fewest(len(order), partial(self._healed, order, check))
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

    def _healed(self, steps: Sequence[Step], check: Callable[[OnnxGraph], Comparison], count: int) -> Comparison | None:
        graph = spliced(self._left, self._right, [step.tensor for step in steps[:count]])
        if isinstance(graph, str):
            return None
        try:
            comparison = check(graph)
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


def _only(graph: OnnxGraph, names: Iterable[str]) -> OnnxGraph:
    names = list(names)
    return graph.expose(names).select(names)


def _fed(session: Session, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    return session({name: feeds[name] for name in session.signature.input_names})
