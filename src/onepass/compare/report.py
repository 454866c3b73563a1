"""A comparison as an HTML page: a table of all outputs, and an error histogram for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onepass._html import escape, html_table, page
from onepass._printable import counted
from onepass.compare._compare import Comparison
from onepass.compare._difference import Histogram, OutputDifference
from onepass.compare._steps import Bisection, Step
from onepass.tensors import shape_text

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _TOP = 880, 190, 8, 24, 34, 12


def comparison_page(comparison: Comparison, bisection: Bisection | None = None) -> str:
    """Return the HTML page of a comparison, and of its bisection if there was one."""
    return page(" vs. ".join(comparison.models), _body(comparison, bisection))


def _body(comparison: Comparison, bisection: Bisection | None) -> Iterator[str]:
    first, second = (f"<code>{escape(name)}</code>" for name in comparison.models)
    total = len(comparison.outputs) + sum(len(names) for names in comparison.only)
    good = sum(each.passed for each in comparison.outputs)
    yield f"<h1>{first} vs. {second}</h1>"
    verdict = "good" if comparison.passed else "bad"
    yield f'<p class="{verdict}"><strong>{good} of {total} outputs within tolerance</strong></p>'
    ran = " vs. ".join(_ran_on(report) for report in comparison.reports)
    count = counted(len(comparison.cases), "case")
    yield f'<p class="soft">{count}: {escape(_listed(comparison.cases))}. {escape(ran)}.</p>'
    yield from (f'<p class="soft">{escape(note)}</p>' for note in comparison.notes)
    yield _table(comparison.outputs)
    for model, names in zip((first, second), comparison.only, strict=True):
        if names:
            listed = ", ".join(f"<code>{escape(name)}</code>" for name in names)
            yield f'<p class="bad">Only in {model}: {listed}</p>'
    if bisection is not None:
        yield from _bisection(bisection)
    for output in comparison.outputs:
        yield _card(output)


def _ran_on(report: Mapping[str, Any]) -> str:
    return f"{report['backend']} {report.get('version', '')} on {report['device']}"


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" … and {len(names) - most} more" if len(names) > most else "")


def _table(outputs: Sequence[OutputDifference]) -> str:
    columns = [("output", True), ("", True), ("within", False), ("dtype", True), ("shape", True), ("max abs", False),
               ("mean abs", False), ("max rel", False), ("mean rel", False), ("cosine", False), ("NaN", False),
               ("Inf", False)]  # fmt: skip
    return html_table(columns, (_row(each) for each in outputs))


def _row(output: OutputDifference) -> list[str]:
    mild = "strong" if output.verdict == "BROKEN" else "span"
    verdict = f'<{mild} class="{"good" if output.passed else "bad"}">{output.verdict}</{mild}>'
    return [
        f"<code>{escape(output.name)}</code>",
        verdict,
        f"{output.agreement:.4%}",
        escape(_both(*output.dtypes)),
        escape(_both(*(shape_text(shape) for shape in output.shapes))),
        *(f"{value:.3g}" for value in (output.max_abs, output.mean_abs, output.max_rel, output.mean_rel)),
        "–" if output.cosine is None else f"{output.cosine:.6f}",
        _both(*map(str, output.nans)),
        _both(*map(str, output.infs)),
    ]


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} / {second}"


def _card(output: OutputDifference) -> str:
    tolerance = output.tolerance
    asked = "" if tolerance.agreement == 1 else f", required for {tolerance.agreement:.2%} of the elements"
    shares = ", ".join(f"{share:g} % ≤ {value:.3g}" for share, value in output.percentiles.items())
    lines = [
        f"<section><h2><code>{escape(output.name)}</code></h2>",
        (
            f'<p class="soft">Tolerance: {tolerance.atol:.3g} + {tolerance.rtol:.3g} × |first|{asked}. Within: '
            f"{output.count - output.beyond:,} of {output.count:,} elements. Absolute error: {shares}.</p>"
        ),
    ]
    if output.complaint:
        lines.append(f'<p class="bad">{escape(output.complaint)}</p>')
    if output.worst is not None and output.max_abs > 0:
        lines.append(f'<p class="soft">Worst: {escape(str(output.worst))}</p>')
    if output.count:
        lines.append(_drawing(output.histogram, output.name))
    return "\n".join([*lines, "</section>"])


def _drawing(histogram: Histogram, name: str) -> str:
    """Draw the histogram; elements with no error have a separate bar on the left."""
    counts = [w + b for w, b in zip(histogram.within, histogram.beyond, strict=True)]
    used = [index for index, count in enumerate(counts) if count]
    # Whole decades around the data, at least four, so that bars do not become too wide.
    low = (used[0] // 4) * 4 if used else 24
    high = max((used[-1] // 4 + 1) * 4 if used else 40, low + 16)
    high = min(high, len(counts))
    low = max(0, min(low, high - 16))
    bars = [(histogram.identical, 0), *zip(histogram.within[low:high], histogram.beyond[low:high], strict=True)]
    top = max(*(within + beyond for within, beyond in bars), 1)
    step = (_WIDTH - _LEFT - _RIGHT) / (len(bars) + 1)
    parts = [
        (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="Histogram of the absolute error of {escape(name, quote=True)}">'
        ),
    ]
    for index, (within, beyond) in enumerate(bars):
        x = _LEFT + (index + (index > 0)) * step
        parts.extend(_bar(x, step, within, beyond, top, _title(histogram, low, index, within, beyond)))
    parts.extend(_axis(histogram, low, high, step))
    parts.append("</svg>")
    return "\n".join(parts)


def _title(histogram: Histogram, low: int, index: int, within: int, beyond: int) -> str:
    if index == 0:
        return f"no error: {within:,}"
    edges = histogram.edges[low + index - 1 : low + index + 1]
    return f"{edges[0]:.2g} to {edges[1]:.2g}: {within:,} within tolerance, {beyond:,} out of tolerance"


def _bar(x: float, step: float, within: int, beyond: int, top: int, title: str) -> Iterator[str]:
    """Draw one bar; heights are logarithmic, so that one bad element among millions is visible."""
    room = _HEIGHT - _BOTTOM - _TOP
    whole = _scaled(within + beyond, top) * room
    part = whole * beyond / (within + beyond) if within + beyond else 0.0
    if beyond:
        part = max(part, 3.0)
    base = _HEIGHT - _BOTTOM
    yield f"<g><title>{escape(title)}</title>"
    yield f'<rect x="{x:.1f}" y="{_TOP}" width="{step:.1f}" height="{room}" fill="transparent"/>'
    for height, offset, colour in ((whole - part, part, "good"), (part, 0.0, "bad")):
        if height > 0:
            yield (
                f'<rect x="{x + 1:.1f}" y="{base - offset - height:.1f}" width="{max(step - 2, 1):.1f}" '
                f'height="{height:.1f}" fill="var(--{colour})"/>'
            )
    yield "</g>"


def _scaled(count: int, top: int) -> float:
    return math.log1p(count) / math.log1p(top)


def _axis(histogram: Histogram, low: int, high: int, step: float) -> Iterator[str]:
    base = _HEIGHT - _BOTTOM
    yield f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH}" y2="{base}"/>'
    yield f'<text x="{_LEFT + step / 2:.1f}" y="{base + 16}" text-anchor="middle">0</text>'
    decades = (high - low) // 4
    every = max(1, math.ceil(decades / 12))
    for index in range(low, high + 1, 4 * every):
        x = _LEFT + (index - low + 2) * step
        yield f'<line class="axis" x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base + 4}"/>'
        yield f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{histogram.edges[index]:.0e}</text>'
    yield (
        f'<text x="{_WIDTH}" y="{base + 31}" text-anchor="end">absolute error; bar heights are logarithmic; orange: '
        "out of tolerance</text>"
    )


def _bisection(found: Bisection) -> Iterator[str]:
    yield "<section><h2>Inner tensors</h2>"
    if found.healed is not None:
        names = ", ".join(f"<code>{escape(step.tensor)}</code>" for step in found.keep)
        yield f'<p class="good">Every output is within tolerance if the first graph computes {names}.</p>'
    yield from (f'<p class="soft">{escape(note)}</p>' for note in found.notes)
    first = found.first
    if first is not None:
        yield (
            f"<p>The first tensor with a relative error above {found.threshold:.3g} is "
            f"<code>{escape(first.tensor)}</code> ({escape(first.operators[0])}): {first.error:.3g}.</p>"
        )
    elif found.steps:
        yield f"<p>No inner tensor has a relative error above {found.threshold:.3g}.</p>"
    if found.suspects:
        columns = [("tensor", True), ("operator", True), ("own error", False), ("total error", False), ("", True)]
        yield "<p class='soft'>Each node's own error, measured on the values that the first graph computes:</p>"
        yield html_table(columns, (_suspect(step) for step in found.suspects[:20]))
    yield "</section>"


def _suspect(step: Step) -> list[str]:
    own = 0.0 if step.own is None else step.own
    return [f"<code>{escape(step.tensor)}</code>", escape(_both(*step.operators)), f"{own:.3g}", f"{step.error:.3g}",
            escape("; ".join(step.differences))]  # fmt: skip
