"""``onepass compare``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from onepass._errors import InputError
from onepass._printable import counted
from onepass.cli._inputs import max_bytes_option, outputs_option, read_inputs, size_options
from onepass.cli._reports import write_report
from onepass.cli._stopping import stoppable
from onepass.cli._tables import console, escape, show, table
from onepass.cli._trust import chosen, trust_option
from onepass.compare import (
    Bisection,
    Case,
    Comparison,
    OutputDifference,
    bisect,
    compare,
    comparison_page,
    edge_cases,
    folder_cases,
    random_cases,
)
from onepass.drafts import check_target
from onepass.opening import ModelChoice
from onepass.tensors import Signature, shape_text

_STYLES = {"ok": "green", "differs": "yellow", "BROKEN": "bold red"}


def _per_output(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, float] | None:
    """Read ``1e-2`` (for every output) and ``heatmaps=1e-2`` words."""
    values = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            values[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{word!r}: expected a number, or OUTPUT=NUMBER such as heatmaps=1e-2") from None
        if not values[name] >= 0:
            raise click.BadParameter(f"{word!r}: expected a number ≥ 0")
    return values or None


def _pairs(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for word in words:
        first, _, second = word.partition("=")
        if not (first and second):
            raise click.BadParameter(f"{word!r}: expected NAME_IN_FIRST=NAME_IN_SECOND")
        pairs[first] = second
    return pairs


@click.command("compare")
@click.argument("first", metavar="FIRST")
@click.argument("second", metavar="SECOND")
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="[NAME=]FILE",
    help="Inputs of one case: a .npz with all inputs, a .npy, or a picture; repeat for more inputs.",
)  # fmt: skip
@click.option("--inputs", "folder", type=click.Path(path_type=Path), metavar="FOLDER",
              help="One case for each .npz file in this folder.")  # fmt: skip
@click.option("--random", type=click.IntRange(min=0), metavar="COUNT",
              help="Cases with random numbers.  [default: 4 without other inputs]")  # fmt: skip
@click.option("--edges", is_flag=True, help="Add edge cases: zeros, ones, tiny and large numbers, batches of 1 and 3.")
@click.option("--seed", type=click.IntRange(min=0), metavar="NUMBER", default=0, show_default=True,
              help="Seed of the random numbers.")  # fmt: skip
@max_bytes_option
@size_options
@click.option("--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True,
              metavar="BLACK WHITE", help="Values of black and white when a picture is the input.")  # fmt: skip
@click.option("--atol", multiple=True, metavar="[OUTPUT=]NUMBER", callback=_per_output,
              help="Absolute tolerance, for all outputs or for one.  [default: 1e-4, coarser for float16]")  # fmt: skip
@click.option("--rtol", multiple=True, metavar="[OUTPUT=]NUMBER", callback=_per_output,
              help="Tolerance relative to FIRST, in the same form.  [default: 1e-3, coarser for float16]")  # fmt: skip
@click.option("--agreement", multiple=True, metavar="[OUTPUT=]SHARE", callback=_per_output,
              help="Fraction of elements that must be within tolerance, in the same form.  [default: 1]")  # fmt: skip
@outputs_option("Compare only this output; repeat for more.")
@click.option("--match", "names", multiple=True, metavar="FIRST=SECOND", callback=_pairs,
              help="An input or output that has another name in SECOND.")  # fmt: skip
@click.option("--bisect", "look_inside", is_flag=True,
              help="If outputs differ, find the first inner tensor that does, and nodes to keep.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(min=0), metavar="NUMBER",
              help="Relative error above which an inner tensor differs.  [default: 1e-4; float16: 1e-2]")  # fmt: skip
@trust_option
@click.option("--html", "report", type=click.Path(path_type=Path), metavar="FILE",
              help="Write an HTML report with an error histogram for each output.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@stoppable
def command(
    first: str,
    second: str,
    inputs: tuple[str, ...],
    folder: Path | None,
    random: int | None,
    edges: bool,
    seed: int,
    sizes: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
    value_range: tuple[float, float],
    outputs: tuple[str, ...],
    names: dict[str, str],
    look_inside: bool,
    threshold: float | None,
    max_bytes: int,
    trust: bool,
    report: Path | None,
    as_json: bool,
    **tolerances: dict[str, float] | None,
) -> None:
    """Run FIRST and SECOND on the same inputs and compare every output.

    FIRST is the reference. A model is an ONNX file or an engine; other formats are converted first. Files of
    TensorFlow, Keras and PyTorch are programs: opening one executes its code. On a terminal you are asked first;
    elsewhere --trust is required. MODEL@cuda runs an ONNX model on another ONNX Runtime provider.

    The exit status is 1 if an output is out of tolerance, or exists in only one of the models.

    \b
    onepass compare elg.onnx elg.engine --random 8 --atol heatmaps=1e-2
    onepass compare elg.onnx elg-fp16.onnx -i eye.npy --bisect --html report.html
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if report is not None and report.exists():
        check_target(report)  # fail before the computation
    if threshold is not None and not look_inside:
        raise click.UsageError("--threshold requires --bisect")
    choices = chosen(first, trust=trust), chosen(second, trust=trust)
    options: dict[str, Any] = {**tolerances, "outputs": outputs or None, "names": names}
    with choices[0].opened() as session:
        drawing = {"seed": seed, "sizes": sizes, "shapes": shapes}
        reading = {"value_range": value_range, "max_bytes": max_bytes}
        cases = list(_cases(session.signature, inputs, folder, random, edges, drawing, reading))
        if not look_inside:
            comparison, found = compare(ModelChoice(session, label=first), choices[1], cases=cases, **options), None
    if look_inside:
        found = bisect(*choices, cases=cases, threshold=threshold, **options)
        comparison = found.comparison
    if report is not None:
        write_report(report, comparison_page(comparison, found).encode())
    if as_json:
        facts = comparison.to_json() | ({} if found is None else {"bisection": found.to_json()})
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(console(), comparison, found, report)
    click.get_current_context().exit(0 if comparison.passed else 1)


def _cases(
    signature: Signature,
    inputs: tuple[str, ...],
    folder: Path | None,
    random: int | None,
    edges: bool,
    drawing: dict[str, Any],
    reading: dict[str, Any],
) -> Iterator[Case]:
    if random is None:
        random = 0 if inputs or folder or edges else 4
    if (drawing["sizes"] or drawing["shapes"]) and not (random or edges):
        raise InputError("--size and --shape are for random inputs; add --random COUNT or --edges")
    given: Iterable[Case] = ()
    if inputs:
        feeds = read_inputs(inputs, signature, **reading)
        given = [Case(", ".join(Path(word.rpartition("=")[2]).name for word in inputs), feeds)]
    yield from chain(
        given,
        folder_cases(folder, max_bytes=reading["max_bytes"]) if folder else (),
        edge_cases(signature, **drawing) if edges else (),
        random_cases(signature, random, **drawing),
    )


def _print(out: Console, comparison: Comparison, found: Bisection | None, report: Path | None) -> None:
    ran = [f"{each['backend']} {each.get('version', '')} on {each['device']}" for each in comparison.reports]
    for word, name, where in zip(("first ", "second"), comparison.models, ran, strict=True):
        out.print(f"{word} [bold]{escape(name)}[/bold], {escape(where)}", soft_wrap=True)
    out.print(f"{counted(len(comparison.cases), 'case')}\n")
    show(out, _table(comparison))
    for each in comparison.outputs:
        for line in _remarks(each):
            show(out, f"{each.name}: {line}")
    for note in comparison.notes:
        show(out, note)
    for model, names in zip(comparison.models, comparison.only, strict=True):
        if names:
            show(out, f"only in {model}: {', '.join(names)}")
    if found is not None:
        _print_bisection(out, found)
    verdict = "within tolerance" if comparison.passed else f"out of tolerance: {', '.join(comparison.broken)}"
    out.print()
    show(out, verdict)
    if report is not None:
        out.print(f"written to {report}", markup=False, soft_wrap=True)


def _table(comparison: Comparison) -> Table:
    rows = table("", "output", "dtype", "shape", "max abs", "mean abs", "max rel", "cosine", "within", "")
    for each in comparison.outputs:
        rows.add_row(
            escape(each.name),
            escape(each.dtypes[0]),
            escape(shape_text(each.shapes[0])),
            f"{each.max_abs:.3g}",
            f"{each.mean_abs:.3g}",
            f"{each.max_rel:.3g}",
            "–" if each.cosine is None else f"{each.cosine:.6f}",
            _share(each),
            f"[{_STYLES[each.verdict]}]{each.verdict}[/]",
        )
    return rows


def _share(output: OutputDifference) -> str:
    """Return the fraction within tolerance, so that one element among millions is not rounded away."""
    return "99.99…%" if 0.9999 <= output.agreement < 1 else f"{output.agreement:.2%}"


def _remarks(output: OutputDifference) -> Iterator[str]:
    if output.complaint:
        yield output.complaint
    if any(output.nans) or any(output.infs):
        (a, b), (c, d) = output.nans, output.infs
        yield f"NaNs: {a} in the first model, {b} in the second; infinities: {c} and {d}"
    if not output.passed and output.worst is not None:
        allowed = f"{output.tolerance.atol:.3g} + {output.tolerance.rtol:.3g} × |first|"
        yield f"{output.beyond:,} of {output.count:,} elements out of tolerance ({allowed}); worst: {output.worst}"


def _print_bisection(out: Console, found: Bisection) -> None:
    out.print("\n[bold]inner tensors[/bold]")
    if found.healed is not None:
        nodes = counted(len(found.keep), "node")
        show(out, f"with {nodes} kept from the first model, every output is within tolerance; keep:")
        for step in found.keep:
            out.print(f"  {step.tensor}", markup=False, soft_wrap=True)
    for note in found.notes:
        show(out, note)
    if found.first is not None:
        step = found.first
        show(
            out,
            f"first tensor with a relative error above {found.threshold:.3g}: {step.tensor} ({step.operators[0]}), "
            f"{step.error:.3g}; {len(found.steps)} tensors compared",
        )
    elif found.steps:
        show(out, f"none of {len(found.steps)} inner tensors has a relative error above {found.threshold:.3g}")
    if found.suspects:
        rows = table("", "node", "operator", "own error", "total error")
        for step in found.suspects[:10]:
            own = 0.0 if step.own is None else step.own
            rows.add_row(escape(step.tensor), step.operators[0], f"{own:.3g}", f"{step.error:.3g}")
        show(out, rows)
        for step in found.suspects[:10]:
            for difference in step.differences:
                show(out, f"{step.tensor}: {difference}")
