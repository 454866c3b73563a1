"""A benchmark as a page or a picture: latency against batch, and every figure in a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from onepass._html import escape, html_table, page
from onepass.bench._bench import Benchmark, Row
from onepass.bench._statistics import Latency

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 880, 380, 64, 24, 16, 44
COLOURS = ("good", "bad", "third", "fourth", "fifth", "sixth")
_DASHES = ("", "7 4", "2 4")
# A drawing of its own has no page to take colours from.
OWN_STYLE = """<style>
svg { --ink: #1b1e23; --soft: #5d6570; --line: #d8dce2; --ground: #fff; --good: #0072b2; --bad: #c84500;
  --third: #007a5a; --fourth: #8f4f87; --fifth: #8a6a00; --sixth: #3f7fae; background: var(--ground); }
text { fill: var(--soft); font: 12px system-ui, sans-serif; } .axis { stroke: var(--line); }
</style>"""


def benchmark_page(result: Benchmark) -> str:
    """Return the HTML page of a benchmark."""
    return page("onepass bench", _body(result))


def benchmark_drawing(result: Benchmark) -> str:
    """Return the chart alone, as an SVG file."""
    drawing = "\n".join(_chart(result.rows, extra=OWN_STYLE))
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _body(result: Benchmark) -> Iterator[str]:
    yield f"<h1>{', '.join(f'<code>{escape(name)}</code>' for name in result.models)}</h1>"
    where = result.machine
    yield (
        f'<p class="soft">{escape(str(where["processor"]))}, {where["cores"]} cores, {escape(where["system"])}, '
        f"Python {where['python']}, onepass {where['onepass']}</p>"
    )
    yield from (f'<p class="bad">{escape(doubt)}</p>' for doubt in result.doubts)
    yield "<section><h2>Latency against batch</h2>"
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
               ("p99", False), ("min", False), ("items/s", False), ("time over the first", False),
               *((key.removesuffix("_ms").replace("_", " ") + " ms", False) for key in device)]  # fmt: skip
    return html_table(columns, (_row(row, device) for row in result.rows))


def _row(row: Row, device: Sequence[str]) -> list[str]:
    latency = row.latency
    times = (latency.median, latency.p90, latency.p99, latency.minimum)
    mark = ' <span class="bad" title="see below">?</span>' if row.doubts else ""
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
    columns = [("model", True), ("cold start ms", False), ("of that import", False), ("load", False),
               ("first call", False), ("host MB", False), ("device MB", False)]  # fmt: skip
    rows = []
    for name, each in result.openings.items():
        times = (each.cold_seconds, each.import_seconds, each.load_seconds, each.first_call_seconds)
        sizes = ("–" if size is None else f"{size / 1e6:.1f}" for size in (each.host_bytes, each.device_bytes))
        rows.append([f"<code>{escape(name)}</code>", *(f"{value * 1e3:.1f}" for value in times), *sizes])
    return html_table(columns, rows)


def _chart(rows: Sequence[Row], *, extra: str = "") -> Iterator[str]:
    """Draw the medians as lines over batch, both axes logarithmic, with a band from the fastest call to p90."""
    series = series_of(rows)
    legend = 20 * math.ceil(len(series) / 2)
    height = _HEIGHT + legend
    scale = _Scale(rows)
    yield f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Latency against batch">{extra}'
    yield from scale.axes()
    for index, (name, points) in enumerate(series.items()):
        colour = f"var(--{COLOURS[index % len(COLOURS)]})"
        dash = f' stroke-dasharray="{_DASHES[index // len(COLOURS) % len(_DASHES)]}"' if index >= len(COLOURS) else ""
        # Where there is one batch only, models stand side by side.
        shift = 0.0 if scale.has_width else (index - (len(series) - 1) / 2) * min(120.0, 720 / len(series))
        yield from _line(points, scale, colour, dash, name, shift)
        x, y = 24 + (index % 2) * (_WIDTH // 2), _HEIGHT + 4 + 20 * (index // 2)
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


class _Scale:
    """Where a batch and a time lie on the drawing."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._batches = sorted({row.batch for row in rows})
        low = min(row.latency.minimum for row in rows) * 1e3
        high = max(row.latency.p90 for row in rows) * 1e3
        self._low, self._high = math.log10(low) - 0.08, math.log10(high) + 0.08
        self._first, self._last = math.log2(self._batches[0]), math.log2(self._batches[-1])

    @property
    def has_width(self) -> bool:
        """Whether there is more than one batch."""
        return self._last > self._first

    def x(self, batch: int) -> float:
        if not self.has_width:
            return (_LEFT + _WIDTH - _RIGHT) / 2
        share = (math.log2(batch) - self._first) / (self._last - self._first)
        return _LEFT + 20 + share * (_WIDTH - _LEFT - _RIGHT - 40)

    def y(self, seconds: float) -> float:
        share = (math.log10(seconds * 1e3) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    def axes(self) -> Iterator[str]:
        base = _HEIGHT - _BOTTOM
        for value in self._ticks():
            y = self.y(value / 1e3)
            yield f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g} ms</text>'
        for batch in self._batches:
            yield f'<text x="{self.x(batch):.1f}" y="{base + 18}" text-anchor="middle">{batch}</text>'
        yield (
            f'<text x="{_WIDTH - _RIGHT}" y="{base + 36}" text-anchor="end">'
            "batch; medians, and the range from the fastest call to p90</text>"
        )

    def _ticks(self) -> list[float]:
        low, high = 10**self._low, 10**self._high
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(n / 10 for n in range(10, 100, 2))):
            decades = range(math.floor(self._low), math.ceil(self._high) + 1)
            ticks = [step * 10.0**decade for decade in decades for step in steps]
            ticks = [round(tick, 9) for tick in ticks if low <= tick <= high]
            if len(ticks) >= 3:
                return ticks[:: math.ceil(len(ticks) / 9)]
        return [round((low + high) / 2, 4)]


def _line(points: Sequence[Row], scale: _Scale, colour: str, dash: str, name: str, shift: float) -> Iterator[str]:
    def where(row: Row, value: float) -> str:
        return f"{scale.x(row.batch) + shift:.1f},{scale.y(value):.1f}"

    ordered = sorted(points, key=lambda row: row.batch)
    if len(ordered) > 1:
        band = [where(row, row.latency.minimum) for row in ordered]
        band += [where(row, row.latency.p90) for row in reversed(ordered)]
        yield f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.15"/>'
        path = " ".join(where(row, row.latency.median) for row in ordered)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    for row in ordered:
        x, y = where(row, row.latency.median).split(",")
        if len(ordered) == 1:
            low, high = (scale.y(value) for value in (row.latency.minimum, row.latency.p90))
            ends = f'x1="{x}" y1="{low:.1f}" x2="{x}" y2="{high:.1f}"'
            yield f'<line {ends} stroke="{colour}" stroke-width="8" opacity="0.3"/>'
        told = escape(_told(name, row.latency, row.batch))
        yield f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"><title>{told}</title></circle>'


def _told(name: str, latency: Latency, batch: int) -> str:
    return f"{name}, batch {batch}: median {latency.median * 1e3:.4g} ms, p99 {latency.p99 * 1e3:.4g} ms"
