"""``onepass bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from onepass._errors import InputError
from onepass._optional import optional
from onepass._printable import printable
from onepass.bench import Benchmark, Row, bench, benchmark_drawing, benchmark_page, benchmark_png, measure_layers
from onepass.cli._bench_layers import show_layers
from onepass.cli._inputs import max_bytes_option, outputs_option, read_inputs, size_options
from onepass.cli._reports import write_report
from onepass.cli._stopping import stoppable
from onepass.cli._tables import bytes_text, console, escape, show, table
from onepass.cli._trust import chosen, trust_option
from onepass.drafts import check_target

_DRAWN: dict[str, Callable[[Benchmark], bytes]] = {
    ".html": lambda result: benchmark_page(result).encode(),
    ".png": benchmark_png,
    ".svg": lambda result: benchmark_drawing(result).encode(),
}


def _numbers(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> tuple[int, ...] | None:
    """Read ``1,8,64``."""
    if word is None:
        return None
    words = [each.strip() for each in word.split(",")]
    if not all(each.isascii() and each.isdigit() and int(each) for each in words):
        raise click.BadParameter(f"{word!r}: expected whole numbers from 1 up, such as 1,8,64")
    return tuple(int(each) for each in words)


@click.command("bench")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--batch", "batches", metavar="SIZES", callback=_numbers,
              help="Batch sizes, such as 1,8,64, for models whose batch is dynamic.  [default: 1]")  # fmt: skip
@click.option("--threads", metavar="COUNTS", callback=_numbers,
              help="CPU threads of one call, such as 1,2,4, for ONNX models; each is a model of its own.")  # fmt: skip
@click.option("--callers", metavar="COUNTS", callback=_numbers, default="1", show_default=True,
              help="Threads that call at once, such as 1,4.")  # fmt: skip
@click.option("-i", "--input", "inputs", multiple=True, metavar="[NAME=]FILE",
              help="A .npz with all inputs, a .npy, or a picture, in place of random numbers.")  # fmt: skip
@click.option("--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True,
              metavar="BLACK WHITE", help="What black and white become when a picture feeds an input.")  # fmt: skip
@max_bytes_option
@size_options
@outputs_option("Ask for this output only; repeat for more.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="NUMBER", default=5.0,
              show_default=True, help="The most to measure one batch size, over all models.")  # fmt: skip
@click.option("--spread", type=click.FloatRange(min=0), metavar="SHARE", default=0.01, show_default=True,
              help="Stop earlier once every median is known to this share of it.")  # fmt: skip
@click.option("--cold", "processes", type=click.IntRange(min=0), metavar="COUNT", default=3, show_default=True,
              help="Fresh processes to measure cold start and memory in; 0 for none.")  # fmt: skip
@click.option("--layers", is_flag=True,
              help="Time each layer of an engine instead: with its types, and the outputs that need it.")  # fmt: skip
@trust_option
@click.option("--chart", type=click.Path(path_type=Path), metavar="FILE",
              help="Draw latency against batch, or layers: a .svg or .png, or a .html with all figures.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@stoppable
def command(
    models: tuple[str, ...],
    batches: tuple[int, ...] | None,
    threads: tuple[int, ...] | None,
    callers: tuple[int, ...],
    inputs: tuple[str, ...],
    value_range: tuple[float, float],
    sizes: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
    outputs: tuple[str, ...],
    seconds: float,
    spread: float,
    processes: int,
    max_bytes: int,
    layers: bool,
    trust: bool,
    chart: Path | None,
    as_json: bool,
) -> None:
    """Measure how fast each MODEL is here: latency, throughput, cold start, memory.

    Models are ONNX files or engines; other formats are converted first. Files of TensorFlow, Keras and PyTorch are
    programs: what is in them is executed. On a terminal you are asked whether to run one; elsewhere --trust says
    so. All take turns, so that what else the machine does falls on all alike, and each is compared with the first
    as a ratio with its 95 % interval. MODEL@cuda and MODEL@threads=4 say how to open an ONNX model. What cannot be
    trusted is said below the table.

    \b
    onepass bench elg.onnx elg.engine --batch 1,8,64 --chart bench.html
    onepass bench elg.onnx elg.onnx@threads=2 --callers 1,4
    onepass bench elg.engine --layers --batch 8 --chart layers.html
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if chart is not None and chart.exists():
        check_target(chart)  # said before anything is computed
    if chart is not None and chart.suffix.lower() not in _DRAWN:
        raise InputError(f"cannot draw to {chart}: the ending is {chart.suffix!r}, expected .svg, .png or .html")
    if chart is not None and chart.suffix.lower() == ".png":
        optional("matplotlib", extra="chart", purpose="Drawing a PNG")  # said before anything is measured
    choices = [chosen(word, trust=trust) for word in models]
    feeds = None
    if inputs:
        if batches or sizes or shapes:
            raise click.UsageError("--batch, --size and --shape are for random inputs; -i has sizes of its own")
        with choices[0].opened() as session:
            feeds = read_inputs(inputs, session.signature, value_range=value_range, max_bytes=max_bytes)
    if layers:
        if len(choices) > 1 or len(batches or ()) > 1:
            raise click.UsageError("--layers looks at one engine and one batch size at a time")
        times = measure_layers(choices[0], batch=(batches or (1,))[0], sizes=sizes, shapes=shapes, inputs=feeds)
        show_layers(times, chart, as_json=as_json)
        return
    quiet = as_json or not sys.stderr.isatty()
    result = bench(
        choices, batches=batches or (1,), threads=threads or (None,), callers=callers, sizes=sizes, shapes=shapes,
        inputs=feeds, outputs=outputs or None, seconds=seconds, spread=spread, processes=processes,
        progress=None if quiet else lambda line: click.echo(printable(f"{line} …"), err=True),
    )  # fmt: skip
    if chart is not None:
        write_report(chart, _DRAWN[chart.suffix.lower()](result))
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        _print(console(), result, chart)


def _print(out: Console, result: Benchmark, chart: Path | None) -> None:
    where = result.machine
    out.print(f"{where['processor']}, {where['cores']} cores, {where['system']}\n", markup=False)
    for name, report in result.reports.items():
        threads = f", {report['threads']} thread(s)" if "threads" in report else ""
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
    remarks = [*result.doubts, *(f"{_place(row)}: {doubt}" for row in result.rows for doubt in row.doubts)]
    if remarks:
        out.print("\n[bold]not to be trusted[/bold]")
        for remark in remarks:
            show(out, remark)
    if chart is not None:
        out.print(f"\nwritten to {chart}", markup=False, soft_wrap=True)


def _place(row: Row) -> str:
    return f"{row.model}, batch {row.batch}" + (f", {row.callers} callers" if row.callers > 1 else "")


def _rows_table(rows: Sequence[Row]) -> Table:
    shown = table("milliseconds a call", "model", "batch", "callers", "median", "p90", "p99", "min", "items/s",
                  "time over the first")  # fmt: skip
    for row in rows:
        each = row.latency
        times = (f"{value * 1e3:.4g}" for value in (each.median, each.p90, each.p99, each.minimum))
        shown.add_row(escape(row.model), str(row.batch), str(row.callers), *times, f"{row.throughput:,.0f}",
                      "1" if row.ratio is None else escape(str(row.ratio)))  # fmt: skip
    return shown


def _device_table(rows: Sequence[Row]) -> Table:
    shown = table("milliseconds on the device, by trtexec's names", "model", "batch", "GPU compute time",
                  "enqueue time", "H2D latency", "D2H latency")  # fmt: skip
    for row in rows:
        if row.device:
            parts = (row.device.get(key) for key in ("gpu_compute_ms", "enqueue_ms", "h2d_ms", "d2h_ms"))
            shown.add_row(escape(row.model), str(row.batch), *("–" if ms is None else f"{ms:.4g}" for ms in parts))
    return shown


def _openings_table(result: Benchmark) -> Table:
    shown = table("milliseconds to the first outputs, in a process of its own", "model", "cold start", "import", "load",
                  "first call", "host memory", "device memory")  # fmt: skip
    for name, each in result.openings.items():
        times = (each.cold_seconds, each.import_seconds, each.load_seconds, each.first_call_seconds)
        sizes = ("–" if size is None else bytes_text(size) for size in (each.host_bytes, each.device_bytes))
        shown.add_row(escape(name), *(f"{value * 1e3:.1f}" for value in times), *sizes)
    return shown
