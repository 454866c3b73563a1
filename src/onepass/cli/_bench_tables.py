"""What ``onepass bench`` prints: tables, and notes on how far the figures can be trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from onepass._printable import counted
from onepass.bench import Benchmark, Row
from onepass.cli._tables import bytes_text, escape, show, table

_LONGER = "increase --seconds"
_ADVICE = {"few calls": _LONGER, "uncertain p99": _LONGER}


def print_benchmark(out: Console, result: Benchmark, chart: Path | None) -> None:
    """Print the result of a benchmark, and where its chart is."""
    where = result.machine
    out.print(f"{where['processor']}, {counted(where['cores'], 'core')}, {where['system']}\n", markup=False)
    for name, report in result.reports.items():
        threads = f", {counted(report['threads'], 'thread')}" if "threads" in report else ""
        ran = f"{report['backend']} {report.get('version', '')} on {report['device']}{threads}"
        out.print(f"[bold]{escape(name)}[/bold]: {escape(ran)}", soft_wrap=True)
    out.print()
    show(out, _rows_table(result.rows))
    if any(row.device for row in result.rows):
        out.print()
        show(out, _device_table(result.rows))
    if result.openings:
        out.print()
        show(out, _openings_table(result))
    _print_notes(out, result)
    if chart is not None:
        out.print(f"\nwritten to {chart}", markup=False, soft_wrap=True)


def _rows_table(rows: Sequence[Row]) -> Table:
    several = len({row.callers for row in rows}) > 1 or rows[0].callers > 1
    callers = ["callers"] if several else []
    shown = table("milliseconds per call", "model", "batch", *callers, "median", "p90", "p99", "min", "items/s",
                  "vs. first")  # fmt: skip
    for row in rows:
        each = row.latency
        times = (f"{value * 1e3:.4g}" for value in (each.median, each.p90, each.p99, each.minimum))
        shown.add_row(escape(row.model), str(row.batch), *([str(row.callers)] if several else []), *times,
                      f"{row.throughput:,.0f}", "1" if row.ratio is None else escape(str(row.ratio)))  # fmt: skip
    return shown


def _device_table(rows: Sequence[Row]) -> Table:
    shown = table("milliseconds on the device, under trtexec's names", "model", "batch", "GPU compute time",
                  "enqueue time", "H2D latency", "D2H latency")  # fmt: skip
    for row in rows:
        if row.device:
            parts = (row.device.get(key) for key in ("gpu_compute_ms", "enqueue_ms", "h2d_ms", "d2h_ms"))
            shown.add_row(escape(row.model), str(row.batch), *("–" if ms is None else f"{ms:.4g}" for ms in parts))
    return shown


def _openings_table(result: Benchmark) -> Table:
    shown = table("milliseconds to the first outputs, in a fresh process", "model", "cold start", "import", "load",
                  "first call", "host memory", "device memory")  # fmt: skip
    for name, each in result.openings.items():
        times = (each.cold_seconds, each.import_seconds, each.load_seconds, each.first_call_seconds)
        sizes = ("–" if size is None else bytes_text(size) for size in (each.host_bytes, each.device_bytes))
        shown.add_row(escape(name), *(f"{value * 1e3:.1f}" for value in times), *sizes)
    return shown


def _print_notes(out: Console, result: Benchmark) -> None:
    """Print the reasons to distrust figures, grouped by kind."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in result.rows:
        for kind, _, detail in (doubt.partition(": ") for doubt in row.doubts):
            groups[kind].append(f"{_place(row)}: {detail}")
    if not groups and not result.doubts:
        return
    out.print("\n[bold]treat with caution[/bold]")
    for doubt in result.doubts:
        show(out, doubt)
    for kind, places in groups.items():
        show(out, f"{kind}; {_ADVICE[kind]}" if kind in _ADVICE else kind)
        for place in places:
            show(out, place, indent="  ")


def _place(row: Row) -> str:
    return f"{row.model}, batch {row.batch}" + (f", {row.callers} callers" if row.callers > 1 else "")
