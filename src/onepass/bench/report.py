"""A benchmark as an HTML page or an SVG chart: latency by batch size, and every figure in a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from onepass._html import escape, html_table, page
from onepass.bench._bench import Benchmark, Row
from onepass.bench._statistics import Latency

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 880, 400, 72, 24, 16, 44
_TITLE_HEIGHT = 44
TITLE = "Latency per call, by batch size"
SUBTITLE = "lines: median; bars: from the fastest call to p90"
COLOURS = ("good", "bad", "third", "fourth", "fifth", "sixth")
_DASHES = ("", "7 4", "2 4")
# A stand-alone drawing has no page to take colours from.
OWN_STYLE = """<style>
svg { --ink: #1b1e23; --soft: #5d6570; --line: #d8dce2; --ground: #fff; --good: #0072b2; --bad: #c84500;
  --third: #007a5a; --fourth: #8f4f87; --fifth: #8a6a00; --sixth: #3f7fae; background: var(--ground); }
text { fill: var(--soft); font: 12px system-ui, sans-serif; } .axis { stroke: var(--line); }
</style>"""


def benchmark_page(result: Benchmark) -> str:
    """Return the HTML page of a benchmark."""
    return page("onepass bench", _body(result))


def benchmark_drawing(result: Benchmark) -> str:
    """Return the chart alone, with a title, as an SVG file."""
    drawing = "\n".join(_chart(result.rows, style=OWN_STYLE, title=TITLE))
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _body(result: Benchmark) -> Iterator[str]:
    yield f"<h1>{', '.join(f'<code>{escape(name)}</code>' for name in result.models)}</h1>"
    where = result.machine
    yield (
        f'<p class="soft">{escape(str(where["processor"]))}, {where["cores"]} cores, {escape(where["system"])}, '
        f"Python {where['python']}, onepass {where['onepass']}</p>"
    )
    yield from (f'<p class="bad">{escape(doubt)}</p>' for doubt in result.doubts)
    yield f"<section><h2>{TITLE}</h2>"
    yield "\n".join(_chart(result.rows))
    yield "</section>"
    yield _rows_table(result)
    yield from _doubts(result.rows)
    if result.openings:
        yield "<h2>Opening a model</h2>"
        yield _openings_table(result)


def _rows_table(result: Benchmark) -> str:
    device = sorted({key for row in result.rows for key in row.device})
    columns = [("model", True), ("batch", False), ("callers", False), ("median ms", False), ("p90", False),
               ("p99", False), ("min", False), ("items/s", False), ("vs. first [95 % interval]", False),
               *((key.removesuffix("_ms").replace("_", " ") + " ms", False) for key in device)]  # fmt: skip
    return html_table(columns, (_row(row, device) for row in result.rows))


def _row(row: Row, device: Sequence[str]) -> list[str]:
    latency = row.latency
    times = (latency.median, latency.p90, latency.p99, latency.minimum)
    mark = ' <span class="bad" title="see the notes below the table">?</span>' if row.doubts else ""
    return [
        f"<code>{escape(row.model)}</code>{mark}", str(row.batch), str(row.callers),
        *(f"{value * 1e3:.4g}" for value in times), f"{row.throughput:,.0f}",
        "1" if row.ratio is None else escape(str(row.ratio)),
        *(f"{row.device[key]:.4g}" if key in row.device else "" for key in device),
    ]  # fmt: skip


def _doubts(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for doubt in row.doubts:
            callers = f", {row.callers} callers" if row.callers > 1 else ""
            name = f"<code>{escape(row.model)}</code>, batch {row.batch}{callers}"
            yield f'<p class="soft">{name}: {escape(doubt)}</p>'


def _openings_table(result: Benchmark) -> str:
    columns = [("model", True), ("cold start ms, of which:", False), ("import", False), ("load", False),
               ("first call", False), ("host MB", False), ("device MB", False)]  # fmt: skip
    rows = []
    for name, each in result.openings.items():
        times = (each.cold_seconds, each.import_seconds, each.load_seconds, each.first_call_seconds)
        sizes = ("–" if size is None else f"{size / 1e6:.1f}" for size in (each.host_bytes, each.device_bytes))
        rows.append([f"<code>{escape(name)}</code>", *(f"{value * 1e3:.1f}" for value in times), *sizes])
    return html_table(columns, rows)


def _chart(rows: Sequence[Row], *, style: str = "", title: str = "") -> Iterator[str]:
    """Draw the medians as lines over the batch size, both axes logarithmic, with a bar from the fastest call to p90.

    Points of one batch size stand side by side, so that no bar covers another.
    """
    series = series_of(rows)
    legend = 10 + 20 * math.ceil(len(series) / 2)
    top = _TITLE_HEIGHT if title else 0
    scale = _Scale(rows)
    yield f'<svg viewBox="0 {-top} {_WIDTH} {_HEIGHT + legend + top}" role="img" aria-label="{TITLE}">{style}'
    if title:
        yield f'<text x="{_LEFT}" y="-22" style="font: 600 16px system-ui, sans-serif; fill: var(--ink)">{title}</text>'
        yield f'<text x="{_LEFT}" y="-4">{SUBTITLE}</text>'
    yield from scale.axes(note="" if title else f"; {SUBTITLE}")
    for index, (name, points) in enumerate(series.items()):
        colour = f"var(--{COLOURS[index % len(COLOURS)]})"
        dash = f' stroke-dasharray="{_DASHES[index // len(COLOURS) % len(_DASHES)]}"' if index >= len(COLOURS) else ""
        yield from _line(points, scale, colour, dash, name, scale.shift(index, len(series)))
        x, y = 24 + (index % 2) * (_WIDTH // 2), _HEIGHT + 14 + 20 * (index // 2)
        yield f'<line x1="{x}" y1="{y}" x2="{x + 28}" y2="{y}" stroke="{colour}" stroke-width="3"{dash}/>'
        yield f'<text x="{x + 36}" y="{y + 4}">{escape(name)}</text>'
    yield "</svg>"


def series_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each line of the chart: a model, with its callers where those differ."""
    several = len({row.callers for row in rows}) > 1
    series: dict[str, list[Row]] = {}
    for row in rows:
        callers = f", {row.callers} caller{'s' if row.callers > 1 else ''}" if several else ""
        series.setdefault(row.model + callers, []).append(row)
    return series


def time_limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the lower and upper limit of a chart's times, in milliseconds, with a margin."""
    low = min(row.latency.minimum for row in rows) * 1e3
    high = max(row.latency.p90 for row in rows) * 1e3
    return low / 1.2, high * 1.2


def time_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high` for a logarithmic axis, if possible at least three."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(n / 10 for n in range(10, 100, 2))):
        ticks = [round(step * 10.0**decade, 9) for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 9)]
    return [float(f"{math.sqrt(low * high):.2g}")]


def tick_text(milliseconds: float) -> str:
    """Return a time as the axis shows it: ``0.5 ms``, ``2,000 ms``."""
    return f"{milliseconds:,.0f} ms" if milliseconds >= 1000 else f"{milliseconds:g} ms"


class _Scale:
    """Positions of batch sizes and times on the drawing."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._batches = sorted({row.batch for row in rows})
        self._limits = time_limits(rows)
        self._low, self._high = map(math.log10, self._limits)
        self._first, self._last = math.log2(self._batches[0]), math.log2(self._batches[-1])

    def x(self, batch: int) -> float:
        if self._last == self._first:
            return (_LEFT + _WIDTH - _RIGHT) / 2
        share = (math.log2(batch) - self._first) / (self._last - self._first)
        return _LEFT + 40 + share * (_WIDTH - _LEFT - _RIGHT - 80)

    def shift(self, index: int, count: int) -> float:
        """Return the horizontal offset of one of several series from the centre of its batch size."""
        places = [self.x(batch) for batch in self._batches]
        room = min((after - before for before, after in pairwise(places)), default=720.0)
        most = min(12.0, 72 / count) if len(places) > 1 else 120.0
        return (index - (count - 1) / 2) * min(most, 0.6 * room / count)

    def y(self, seconds: float) -> float:
        share = (math.log10(seconds * 1e3) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    def axes(self, *, note: str) -> Iterator[str]:
        base = _HEIGHT - _BOTTOM
        for value in time_ticks(*self._limits):
            y = self.y(value / 1e3)
            yield f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick_text(value)}</text>'
        for batch in self._batches:
            yield f'<text x="{self.x(batch):.1f}" y="{base + 18}" text-anchor="middle">{batch}</text>'
        yield f'<text x="{_WIDTH - _RIGHT}" y="{base + 36}" text-anchor="end">batch size{note}</text>'


def _line(points: Sequence[Row], scale: _Scale, colour: str, dash: str, name: str, shift: float) -> Iterator[str]:
    ordered = sorted(points, key=lambda row: row.batch)
    places = [(scale.x(row.batch) + shift, scale.y(row.latency.median)) for row in ordered]
    if len(ordered) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    for row, (x, y) in zip(ordered, places, strict=True):
        low, high = (scale.y(value) for value in (row.latency.minimum, row.latency.p90))
        ends = f'x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"'
        yield f'<line {ends} stroke="{colour}" stroke-width="6" opacity="0.35"/>'
        told = escape(_told(name, row.latency, row.batch))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{told}</title></circle>'


def _told(name: str, latency: Latency, batch: int) -> str:
    return f"{name}, batch {batch}: median {latency.median * 1e3:.4g} ms, p99 {latency.p99 * 1e3:.4g} ms"
