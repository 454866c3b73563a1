"""Layer times as a PNG, for places that cannot show SVG."""

from __future__ import annotations

import io

from onepass._optional import optional
from onepass._printable import printable
from onepass.bench.layers import LayerTimes
from onepass.bench.layers_report import bars_of


def layers_png(result: LayerTimes) -> bytes:
    """Return one bar per layer as a PNG, the longest at the top, coloured by types.

    Raises:
        MissingExtraError: Drawing needs the extra ``chart``.
    """
    figure_module = optional("matplotlib.figure", extra="chart", purpose="Drawing a PNG")
    bars = bars_of(result)
    figure = figure_module.Figure(figsize=(9, 1 + 0.25 * len(bars)), dpi=150, layout="constrained")
    axes = figure.subplots()
    kinds = list(dict.fromkeys(types for _, types, _ in bars))
    for index, kind in enumerate(kinds):
        rows = [row for row, (_, types, _) in enumerate(bars) if types == kind]
        axes.barh(rows, [bars[row][2] for row in rows], color=f"C{index}", label=kind)
    shown = [printable(name) for name, *_ in bars]
    names = [name if len(name) <= 44 else f"{name[:20]}…{name[-23:]}" for name in shown]
    axes.set_yticks(range(len(bars)), names, fontsize="x-small", parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(f"time per layer in ms, batch {result.batch}")
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
