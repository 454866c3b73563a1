"""Two graphs, tensor by tensor: the error of each tensor, and the nodes that add to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import onnx

from onepass._distance import is_exact
from onepass._errors import OnepassError, UnsupportedModelError
from onepass.compare._cases import Case
from onepass.compare._compare import Pairs
from onepass.compare._difference import Meter
from onepass.compare._nodes import node_differences
from onepass.compare._steps import Step
from onepass.compare._tolerance import Tolerance
from onepass.graph import OnnxGraph
from onepass.graph.edges import spec_of
from onepass.graph.extract import extracted
from onepass.graph.nodes import producers
from onepass.graph.values import inferred
from onepass.outputs import Array
from onepass.runtime import Session, load
from onepass.tensors import TensorSpec

_BATCH = 32  # tensors exposed at a time, since all their values are in memory together
_SUSPECTS = 64  # nodes whose own error is measured; each needs its own session
_UNBOUNDED = Tolerance(0, 0, 0)


class Search:
    """Two graphs, the tensors that both have, and the values that they compute."""

    def __init__(
        self, left: OnnxGraph, right: OnnxGraph, cases: Sequence[Case], names: Mapping[str, str], threshold: float
    ) -> None:
        self._left, self._right = left, right
        self._threshold = threshold
        pairs = Pairs(left.signature, right.signature, names=names, outputs=None)
        self._cases = [(case, pairs.feeds_of_second(case.feeds)) for case in cases]
        self._right_types = inferred(right.proto)
        here, there = _dense(left, inferred(left.proto)), _dense(right, self._right_types)
        self._specs = {name: (here[name], there[name]) for name in here if name in there}
        self._left_nodes, self._right_nodes = (producers(graph.proto.graph.node) for graph in (left, right))
        self._shared = [name for name in self._specs if name in self._left_nodes and name in self._right_nodes]

    def steps(self) -> Iterator[Step]:
        """Yield every shared floating-point tensor with its error, in the first graph's order."""
        names = [name for name in self._shared if not is_exact(self._specs[name][0].dtype)]
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
        """Return the steps that add an error themselves, worst first."""
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
        """Return the error that the second graph adds on the path to each tensor, on the first graph's values.

        Tensors are omitted where the path begins at a tensor that the graphs do not share, or does not run alone.
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

    def _part(self, tensor: str) -> OnnxGraph | None:
        """Return the part of the second graph between shared tensors and this tensor, as a separate graph."""
        return extracted(self._right, tensor, given=self._specs, types=self._right_types)

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


def _dense(graph: OnnxGraph, types: Mapping[str, onnx.ValueInfoProto]) -> dict[str, TensorSpec]:
    """Return the tensors that can be outputs: dense tensors of numbers whose dtype ONNX can infer."""
    specs = {}
    for name in graph.tensor_names:
        try:
            specs[name] = spec_of(types[name])
        except (KeyError, UnsupportedModelError):
            continue
    return specs


def _only(graph: OnnxGraph, names: Iterable[str]) -> OnnxGraph:
    names = list(names)
    return graph.expose(names).select(names)


def _fed(session: Session, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
    return session({name: feeds[name] for name in session.signature.input_names})
