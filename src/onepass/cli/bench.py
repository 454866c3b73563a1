"""``onepass bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from onepass._errors import InputError
from onepass._optional import optional
from onepass._printable import printable
from onepass.bench import Benchmark, bench, benchmark_drawing, benchmark_page, benchmark_png, measure_layers
from onepass.cli._bench_layers import show_layers
from onepass.cli._bench_tables import print_benchmark
from onepass.cli._inputs import max_bytes_option, outputs_option, read_inputs, size_options
from onepass.cli._reports import write_report
from onepass.cli._stopping import stoppable
from onepass.cli._tables import console
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
        raise click.BadParameter(f"{word!r}: expected whole numbers ≥ 1, such as 1,8,64")
    return tuple(int(each) for each in words)


@click.command("bench")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--batch", "batches", metavar="SIZES", callback=_numbers,
              help="Batch sizes, such as 1,8,64, for models with a dynamic batch dimension.  [default: 1]")  # fmt: skip
@click.option("--threads", metavar="COUNTS", callback=_numbers,
              help="CPU threads per call, such as 1,2,4, for ONNX models; each number is a separate row.")  # fmt: skip
@click.option("--callers", metavar="COUNTS", callback=_numbers, default="1", show_default=True,
              help="Threads that call concurrently, such as 1,4.")  # fmt: skip
@click.option("-i", "--input", "inputs", multiple=True, metavar="[NAME=]FILE",
              help="Inputs: a .npz with all of them, a .npy, or a picture. Random numbers by default.")  # fmt: skip
@click.option("--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True,
              metavar="BLACK WHITE", help="Values of black and white when a picture is the input.")  # fmt: skip
@max_bytes_option
@size_options
@outputs_option("Request only this output; repeat for more.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="NUMBER", default=5.0,
              show_default=True, help="Time limit per batch size, over all models.")  # fmt: skip
@click.option("--spread", type=click.FloatRange(min=0), metavar="SHARE", default=0.01, show_default=True,
              help="Stop early once every median is known to this fraction.")  # fmt: skip
@click.option("--cold", "processes", type=click.IntRange(min=0), metavar="COUNT", default=3, show_default=True,
              help="Fresh processes that measure cold start and memory; 0 skips this.")  # fmt: skip
@click.option("--layers", is_flag=True,
              help="Time each layer of an engine instead, with its types and the outputs that need it.")  # fmt: skip
@trust_option
@click.option("--chart", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a chart of latencies or layers as .svg or .png, or all figures as .html.")  # fmt: skip
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
    """Measure each MODEL on this machine: latency, throughput, cold start, memory.

    A MODEL is an ONNX file or an engine; other formats are converted first. Files of TensorFlow, Keras and PyTorch
    are programs: opening one executes its code. On a terminal you are asked first; elsewhere --trust is required.
    MODEL@cuda and MODEL@threads=4 set how an ONNX model is opened.

    Models take turns, so other load on the machine affects all of them alike. Each is compared with the first as a
    ratio with its 95 % interval. Notes below the table name figures to treat with caution.

    \b
    onepass bench elg.onnx elg.engine --batch 1,8,64 --chart bench.html
    onepass bench elg.onnx elg.onnx@threads=2 --callers 1,4
    onepass bench elg.engine --layers --batch 8 --chart layers.html
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if chart is not None and chart.exists():
        check_target(chart)  # fail before the measurement
    if chart is not None and chart.suffix.lower() not in _DRAWN:
        raise InputError(f"cannot write {chart}: expected a name ending in .svg, .png or .html")
    if chart is not None and chart.suffix.lower() == ".png":
        optional("matplotlib", extra="chart", purpose="Drawing a PNG")  # fail before the measurement
    choices = [chosen(word, trust=trust) for word in models]
    feeds = None
    if inputs:
        if batches or sizes or shapes:
            raise click.UsageError(
                "--batch, --size and --shape are for random inputs; with -i, the files set all sizes"
            )
        with choices[0].opened() as session:
            feeds = read_inputs(inputs, session.signature, value_range=value_range, max_bytes=max_bytes)
    if layers:
        if len(choices) > 1 or len(batches or ()) > 1:
            raise click.UsageError("--layers takes one engine and one batch size at a time")
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
        print_benchmark(console(), result, chart)
