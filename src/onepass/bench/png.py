"""The chart of a benchmark as a PNG, for places that cannot show SVG."""

from __future__ import annotations

import io
from itertools import pairwise
from math import log2

from onepass._optional import optional
from onepass._printable import printable
from onepass.bench._bench import Benchmark
from onepass.bench.report import SUBTITLE, TITLE, series_of, tick_text, time_limits, time_ticks

_MARKS = "os^Dv<>P"  # marks distinguish lines of the same colour


def benchmark_png(result: Benchmark) -> bytes:
    """Return latency by batch size as a PNG: medians, with bars from the fastest call to p90.

    Raises:
        MissingExtraError: Drawing needs the extra ``chart``.
    """
    figure_module = optional("matplotlib.figure", extra="chart", purpose="Drawing a PNG")
    figure = figure_module.Figure(figsize=(9, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    batches = sorted({row.batch for row in result.rows})
    series = series_of(result.rows)
    room = min((log2(after / before) for before, after in pairwise(batches)), default=1.0)
    gap = min(0.016 * log2(batches[-1] / batches[0]) or 0.2, 0.6 * room / len(series))
    for index, (name, rows) in enumerate(series.items()):
        ordered = sorted(rows, key=lambda row: row.batch)
        shift = (index - (len(series) - 1) / 2) * gap  # side by side, so that no bar covers another
        x = [log2(row.batch) + shift for row in ordered]
        low, median, high = (
            [getattr(row.latency, part) * 1e3 for row in ordered] for part in ("minimum", "median", "p90")
        )
        (line,) = axes.plot(x, median, marker=_MARKS[index % len(_MARKS)], markersize=5, label=printable(name))
        axes.vlines(x, low, high, color=line.get_color(), alpha=0.35, linewidth=5)
    axes.set_yscale("log")
    axes.set_ylim(*time_limits(result.rows))
    axes.minorticks_off()
    ticks = time_ticks(*time_limits(result.rows))
    axes.set_yticks(ticks, [tick_text(tick) for tick in ticks])
    axes.set_xticks([log2(batch) for batch in batches], [str(batch) for batch in batches])
    axes.margins(x=0.08 if len(batches) > 1 else 0.5)
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("batch size")
    axes.set_title(f"{TITLE}\n", loc="left", weight="bold")
    axes.text(0, 1.03, SUBTITLE, transform=axes.transAxes, fontsize="small")
    columns = 2 if len(series) > 1 else 1
    for text in figure.legend(loc="outside lower center", fontsize="small", ncols=columns, frameon=False).get_texts():
        text.set_parse_math(False)  # a name may hold a dollar sign
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
