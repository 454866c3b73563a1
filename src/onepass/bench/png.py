"""The chart of a benchmark as a PNG, for places that show no SVG."""

from __future__ import annotations

import io

from onepass._optional import optional
from onepass._printable import printable
from onepass.bench._bench import Benchmark
from onepass.bench.report import series_of

_MARKS = "os^Dv<>P"  # lines of one colour are told apart by their marks


def benchmark_png(result: Benchmark) -> bytes:
    """Return latency against batch as a PNG: medians, with bands from the fastest call to p90.

    Raises:
        MissingExtraError: Drawing needs the extra ``chart``.
    """
    figure_module = optional("matplotlib.figure", extra="chart", purpose="Drawing a PNG")
    figure = figure_module.Figure(figsize=(9, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    batches = sorted({row.batch for row in result.rows})
    for index, (name, rows) in enumerate(series_of(result.rows).items()):
        ordered = sorted(rows, key=lambda row: row.batch)
        x = [row.batch for row in ordered]
        low, median, high = (
            [getattr(row.latency, part) * 1e3 for row in ordered] for part in ("minimum", "median", "p90")
        )
        (line,) = axes.plot(x, median, marker=_MARKS[index % len(_MARKS)], markersize=5, label=printable(name))
        if len(x) > 1:
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        else:
            axes.vlines(x, low, high, color=line.get_color(), alpha=0.3, linewidth=6)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    ticker = optional("matplotlib.ticker", extra="chart", purpose="Drawing a PNG")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.set_xlabel("batch")
    axes.set_ylabel("ms a call: median, fastest to p90")
    for text in axes.legend(fontsize="small").get_texts():
        text.set_parse_math(False)  # a name may hold a dollar sign
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
