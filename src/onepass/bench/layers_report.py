"""Layer times as an HTML page or an SVG chart: one bar per layer, coloured by types."""

from __future__ import annotations

from collections.abc import Iterator

from onepass._html import escape, html_table, page
from onepass.bench.layers import SHARED, LayerTimes, types_text
from onepass.bench.report import COLOURS, OWN_STYLE

_WIDTH, _NAME, _ROW, _TOP = 880, 300, 22, 34
_BARS = 60
"""The maximum number of bars; the remaining, fastest layers share one bar."""


def layers_page(result: LayerTimes) -> str:
    """Return the HTML page: bars, the cost of each output, and a table of all layers."""
    return page("onepass bench: layers", _body(result))


def layers_drawing(result: LayerTimes) -> str:
    """Return the bars alone, as an SVG file."""
    drawing = "\n".join(_bars(result, extra=OWN_STYLE))
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def bars_of(result: LayerTimes) -> list[tuple[str, str, float]]:
    """Return name, types and milliseconds of each bar, the longest first."""
    ordered = sorted(result.layers, key=lambda each: -each.milliseconds)
    bars = [(each.layer.name, types_text(each), each.milliseconds) for each in ordered[:_BARS]]
    rest = ordered[_BARS:]
    return [*bars, (f"{len(rest)} other layers", "–", sum(each.milliseconds for each in rest))] if rest else bars


def _body(result: LayerTimes) -> Iterator[str]:
    yield f"<h1><code>{escape(result.model)}</code>, batch {result.batch}</h1>"
    report = result.report
    yield (
        f'<p class="soft">{escape(str(report["backend"]))} {escape(str(report.get("version", "")))} on '
        f"{escape(str(report['device']))}; {len(result.layers)} layers, {result.milliseconds:.4g} ms in total, more "
        "than a pass takes, because TensorRT waits after each layer to time it</p>"
    )
    yield "<section><h2>Layers</h2>"
    yield "\n".join(_bars(result))
    yield "</section>"
    yield "<h2>Outputs</h2>"
    names = {SHARED: "needed by several outputs"}
    rows = [(names.get(name, f"needed only by <code>{escape(name)}</code>"), f"{ms:.4g}")
            for name, ms in result.by_output().items()]  # fmt: skip
    yield html_table([("layers", True), ("ms", False)], rows)
    yield "<h2>All layers, in execution order</h2>"
    columns = [("layer", True), ("kind", True), ("types", True), ("ms", False), ("share", False), ("outputs", True)]
    yield html_table(columns, (
        [f"<code>{escape(each.layer.name)}</code>", escape(each.layer.kind), types_text(each),
         f"{each.milliseconds:.4g}", f"{result.share(each):.1%}", escape(", ".join(each.outputs) or "–")]
        for each in result.layers
    ))  # fmt: skip


def _bars(result: LayerTimes, *, extra: str = "") -> Iterator[str]:
    bars = bars_of(result)
    kinds = list(dict.fromkeys(types for _, types, _ in bars))
    colours = {types: f"var(--{COLOURS[index % len(COLOURS)]})" for index, types in enumerate(kinds)}
    longest = max((ms for *_, ms in bars), default=0.0) or 1.0
    yield (f'<svg viewBox="0 0 {_WIDTH} {_TOP + _ROW * len(bars)}" role="img" aria-label="Time per layer">{extra}')
    for index, types in enumerate(kinds):
        x = _NAME + 130 * index
        yield f'<rect x="{x}" y="6" width="14" height="14" fill="{colours[types]}"/>'
        yield f'<text x="{x + 20}" y="18">{types}</text>'
    for index, (name, types, ms) in enumerate(bars):
        y, width = _TOP + _ROW * index, (_WIDTH - _NAME - 70) * ms / longest
        short = name if len(name) <= 44 else f"{name[:20]}…{name[-23:]}"
        yield f'<text x="{_NAME - 8}" y="{y + 14}" text-anchor="end">{escape(short)}</text>'
        yield (
            f'<rect x="{_NAME}" y="{y + 3}" width="{max(width, 1):.1f}" height="{_ROW - 6}" fill="{colours[types]}">'
            f"<title>{escape(name)}, {types}: {ms:.4g} ms</title></rect>"
        )
        yield f'<text x="{_NAME + max(width, 1) + 6:.1f}" y="{y + 14}">{ms:.3g} ms</text>'
    yield "</svg>"
