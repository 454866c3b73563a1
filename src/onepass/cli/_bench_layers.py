"""``onepass bench ENGINE --layers``: layer times, printed and drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from onepass._printable import counted
from onepass.bench import LayerTimes, layers_drawing, layers_page, layers_png
from onepass.bench.layers import SHARED, types_text
from onepass.cli._reports import write_report
from onepass.cli._tables import console, escape, shorten, show, table

_DRAWN: dict[str, Callable[[LayerTimes], bytes]] = {
    ".html": lambda result: layers_page(result).encode(),
    ".png": layers_png,
    ".svg": lambda result: layers_drawing(result).encode(),
}
_SHOWN = 40


def show_layers(result: LayerTimes, chart: Path | None, *, as_json: bool) -> None:
    """Print layer times, and draw them if a file is given."""
    if chart is not None:
        write_report(chart, _DRAWN[chart.suffix.lower()](result))
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        _print(console(), result, chart)


def _print(out: Console, result: LayerTimes, chart: Path | None) -> None:
    report = result.report
    ran = f"{report['backend']} {report.get('version', '')} on {report['device']}, batch {result.batch}"
    out.print(f"[bold]{escape(result.model)}[/bold]: {escape(ran)}", soft_wrap=True)
    out.print(
        f"{counted(len(result.layers), 'layer')}, {result.milliseconds:.4g} ms in total. A pass takes less: TensorRT "
        "waits after each layer to time it\n", soft_wrap=True,
    )  # fmt: skip
    ordered = sorted(result.layers, key=lambda each: -each.milliseconds)
    rows = table("layers, slowest first", "ms", "share", "types", "output", "layer")
    for each in ordered[:_SHOWN]:
        outputs = ", ".join(each.outputs) if len(each.outputs) < 3 else f"{len(each.outputs)} outputs"
        cells = (f"{each.milliseconds:.4g}", f"{result.share(each):.1%}", types_text(each), outputs or "–")
        rows.add_row(*map(escape, cells), escape(shorten(each.layer.name, 200)))
    show(out, rows)
    if len(ordered) > _SHOWN:
        rest = sum(each.milliseconds for each in ordered[_SHOWN:])
        out.print(f"and {len(ordered) - _SHOWN} more, {rest:.4g} ms in total; --json lists all", markup=False)
    for title, sums in (("by type", result.by_types()), ("by output", result.by_output())):
        shown = table(title, "ms", "share", "layers")
        for name, ms in sorted(sums.items(), key=lambda item: -item[1]):
            share = ms / result.milliseconds if result.milliseconds else 0.0
            what = name if title == "by type" else "needed by several outputs" if name == SHARED else f"only {name}"
            shown.add_row(f"{ms:.4g}", f"{share:.1%}", escape(what))
        out.print()
        show(out, shown)
    if chart is not None:
        out.print(f"\nwritten to {chart}", markup=False, soft_wrap=True)
