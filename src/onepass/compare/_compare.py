"""Run two models on the same inputs and measure the difference of each output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._printable import counted
from onepass.compare._cases import Case, edge_cases, random_cases
from onepass.compare._difference import Meter, OutputDifference
from onepass.compare._tolerance import PerOutput, Tolerances
from onepass.opening import ModelChoice
from onepass.outputs import Array
from onepass.runtime import Session
from onepass.sampling import explained
from onepass.tensors import Signature, TensorSpec, shape_text


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        models: Labels of the two models.
        reports: The sessions' own reports on what ran the models.
        cases: Names of the cases, in the order in which they ran.
        outputs: The difference of each output, in the order of the first model.
        only: Outputs that only the first model has, and outputs that only the second has; they are not compared.
        notes: Further facts: inputs that were cast, outputs with different dtypes.
    """

    models: tuple[str, str]
    reports: tuple[Mapping[str, Any], Mapping[str, Any]]
    cases: tuple[str, ...]
    outputs: tuple[OutputDifference, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every output is within its tolerance and exists in both models."""
        return all(output.passed for output in self.outputs) and not any(self.only)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the outputs that are out of tolerance, or that only one model has."""
        return (*(output.name for output in self.outputs if not output.passed), *self.only[0], *self.only[1])

    def __str__(self) -> str:
        """Return one line per output, as an ``assert`` shows it."""
        verdict = "agree" if self.passed else "differ"
        lines = [f"{self.models[0]} and {self.models[1]} {verdict} on {counted(len(self.cases), 'case')}"]
        for each in self.outputs:
            detail = each.complaint or f"max {each.max_abs:.3g}, {each.agreement:.2%} within {each.tolerance.atol:.3g}"
            lines.append(f"  {each.name}: {each.verdict}, {detail}")
        for model, names in zip(self.models, self.only, strict=True):
            lines.extend(f"  {name}: only in {model}" for name in names)
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "passed": self.passed,
            "models": [{"name": n, **report} for n, report in zip(self.models, self.reports, strict=True)],
            "cases": list(self.cases),
            "outputs": [output.to_json() for output in self.outputs],
            "only_in": [list(names) for names in self.only],
            "notes": list(self.notes),
        }


def compare(
    first: Any,
    second: Any,
    *,
    cases: Iterable[Case | Mapping[str, Array]] = (),
    random: int | None = None,
    edges: bool = False,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    atol: PerOutput = None,
    rtol: PerOutput = None,
    agreement: PerOutput = None,
    outputs: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Comparison:
    """Run two models on the same inputs and measure the differences between their outputs.

    Args:
        first: The reference model: a path, bytes, an `OnnxGraph`, a `Session`, or a `ModelChoice`. SavedModels and
            other formats are converted first.
        second: The model that should agree with it.
        cases: Inputs to run on: cases, or mappings from input name to array.
        random: Number of cases with random numbers. The default is 4 without other cases, otherwise 0.
        edges: Whether to run edge cases too; see `edge_cases`.
        seed: Seed of the random numbers.
        sizes: Sizes of dynamic dimensions in random and edge cases, by name.
        shapes: Complete shapes of inputs in these cases, by name, also for dimensions without a name.
        atol: Absolute tolerance, one for all outputs or by output name (``""`` for the others); see `Tolerances`.
        rtol: Relative tolerance, in the same form.
        agreement: Fraction of elements that must be within tolerance, in the same form; the default is all.
        outputs: Compare only these outputs, by their name in the first model.
        names: For inputs and outputs with different names: the name in the first model -> the name in the second.

    Raises:
        InputError: The models' inputs do not match, or there is nothing to run on.
        OutputNameError: The first model has no output of a name in `outputs`, `names`, `atol`, `rtol` or `agreement`.
        ModelError, BackendError: A model does not open or run.
    """
    with ExitStack() as stack:
        choices = [each if isinstance(each, ModelChoice) else ModelChoice(each) for each in (first, second)]
        left, right = (stack.enter_context(choice.opened()) for choice in choices)
        pairs = Pairs(left.signature, right.signature, names=names or {}, outputs=outputs)
        tolerances = Tolerances(atol, rtol, agreement)
        tolerances.check_names(tuple(pairs.outputs))
        chosen = _cases(left.signature, cases, random, edges=edges, seed=seed, sizes=sizes, shapes=shapes)
        meters = pairs.meters(tolerances)
        ran = run_cases(left, right, pairs, chosen, meters)
        return Comparison(
            models=(str(choices[0]), str(choices[1])),
            reports=(left.report(), right.report()),
            cases=ran,
            outputs=tuple(meter.result() for meter in meters.values()),
            only=pairs.only,
            notes=pairs.notes,
        )


def _cases(
    signature: Signature,
    given: Iterable[Case | Mapping[str, Array]],
    random: int | None,
    *,
    edges: bool,
    seed: int,
    sizes: Mapping[str, int] | None,
    shapes: Mapping[str, Sequence[int]] | None,
) -> Iterator[Case]:
    count = 0
    for count, each in enumerate(given, 1):
        yield each if isinstance(each, Case) else Case(f"case {count - 1}", each)
    if random is None:
        random = 0 if count or edges else 4
    if edges:
        yield from edge_cases(signature, sizes=sizes, shapes=shapes, seed=seed)
    yield from random_cases(signature, random, seed=seed, sizes=sizes, shapes=shapes)


class Pairs:
    """Inputs and outputs of two models, paired.

    Attributes:
        inputs: Input of the second model and its partner in the first, as specs.
        outputs: Output of the first model -> output of the second, as specs.
        only: Names of outputs that only the first model has, and of those that only the second has.
        notes: Facts about the pairs that a reader should know.
    """

    def __init__(
        self, left: Signature, right: Signature, *, names: Mapping[str, str], outputs: Iterable[str] | None
    ) -> None:
        """Pair two signatures by name, by `names` where names differ, and a single input with a single input.

        Raises:
            InputError: An input of the second model has no partner, or no output has a partner.
            OutputNameError: `outputs` or `names` contains a name that the first model does not have.
        """
        known = {*left.input_names, *left.output_names}
        for name in names:
            if name not in known:
                left.ordered_outputs([name])  # raises, and lists the names
        self.inputs = _paired_inputs(left, right, names)
        wanted = left.output_names if outputs is None else left.ordered_outputs(outputs)
        here = {spec.name: spec for spec in left.outputs}
        there = {spec.name: spec for spec in right.outputs}
        partners = {name: names.get(name, name) for name in wanted}
        self.outputs = {name: (here[name], there[partner]) for name, partner in partners.items() if partner in there}
        missing = tuple(name for name, partner in partners.items() if partner not in there)
        extra = tuple(name for name in there if name not in partners.values()) if outputs is None else ()
        self.only = (missing, extra)
        if not self.outputs:
            raise InputError(
                f"the models have no output name in common: {', '.join(wanted)} and {', '.join(there)}. "
                "Pair the outputs with names={first: second}"
            )
        self.notes = tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        for spec, source in self.inputs:
            if spec.dtype != source.dtype:
                yield f"input {spec.name}: cast from {source.dtype} to {spec.dtype} for the second model"
        for name, (spec, other) in self.outputs.items():
            if spec.dtype != other.dtype:
                yield f"output {name}: {spec.dtype} in the first model, {other.dtype} in the second"

    def feeds_of_second(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the second model's inputs, made from the first model's."""
        return {
            spec.name: np.asarray(feeds[source.name]).astype(spec.dtype, copy=False)
            for spec, source in self.inputs
            if source.name in feeds
        }

    def meters(self, tolerances: Tolerances) -> dict[str, Meter]:
        """Return a fresh meter for each pair of outputs."""
        return {
            name: Meter(name, b.name, (a.dtype, b.dtype), tolerances.of(name, a.dtype, b.dtype))
            for name, (a, b) in self.outputs.items()
        }


def _paired_inputs(left: Signature, right: Signature, names: Mapping[str, str]) -> list[tuple[TensorSpec, TensorSpec]]:
    back = {names.get(spec.name, spec.name): spec for spec in left.inputs}
    if len(left.inputs) == len(right.inputs) == 1:
        return [(right.inputs[0], left.inputs[0])]
    missing = [spec.name for spec in right.inputs if spec.name not in back]
    if missing:
        raise InputError(
            f"the second model's input {missing[0]!r} does not exist in the first, which has the inputs "
            f"{', '.join(left.input_names)}. Pair the inputs with names={{first: second}}"
        )
    return [(spec, back[spec.name]) for spec in right.inputs]


def run_cases(
    left: Session, right: Session, pairs: Pairs, cases: Iterable[Case], meters: Mapping[str, Meter]
) -> tuple[str, ...]:
    """Run both sessions on each case, measure their outputs, and return the names of the cases.

    Raises:
        InputError: There is no case, or a model rejects one; the message names the case and the model.
    """
    wanted_left = list(meters)
    wanted_right = [pairs.outputs[name][1].name for name in meters]
    ran = []
    for case in cases:
        one = _run(left, case, case.feeds, wanted_left)
        other = _run(right, case, pairs.feeds_of_second(case.feeds), wanted_right)
        for name, meter in meters.items():
            meter.add(case.name, one[name], other[pairs.outputs[name][1].name])
        ran.append(case.name)
    if not ran:
        raise InputError("no inputs to compare the models on; give cases, or a number of random cases")
    return tuple(ran)


def _run(session: Session, case: Case, feeds: Mapping[str, Array], wanted: list[str]) -> Mapping[str, Array]:
    try:
        with explained(session.signature, feeds) if case.drawn else nullcontext():
            return session(feeds, outputs=wanted)
    except InputError as error:
        shapes = ", ".join(f"{name} {shape_text(np.shape(array))}" for name, array in feeds.items())
        raise InputError(f"{session.name} rejects case {case.name} ({shapes}): {error}") from error
