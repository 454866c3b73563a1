"""``onepass build``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from onepass._errors import InputError
from onepass.builder import BuildOptions, Step, build_with, find_builder
from onepass.builder import Progress as Follow
from onepass.builder.options import HardwareLevel, parse_range, parse_shapes
from onepass.cli._tables import bytes_text, console, table
from onepass.engine import Plan, ShapeRange
from onepass.engine.flavor import NAMES, Flavor
from onepass.tensors import shape_text


def _shapes(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> list[dict[str, ShapeRange]]:
    return [_usage(parse_shapes, word) for word in words]


def _merged(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, ShapeRange]:
    return {name: each for word in words for name, each in _usage(parse_shapes, word).items()}


def _range(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> ShapeRange | None:
    return None if word is None else _usage(parse_range, word)


def _usage(parse: Any, word: str) -> Any:
    try:
        return parse(word)
    except InputError as error:
        raise click.BadParameter(str(error)) from error


@click.command("build")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "engine", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write the engine; MODEL with the ending .engine where not given.",
)  # fmt: skip
@click.option("--batch", metavar="RANGE", callback=_range, help="First dimension of every input: 8, or 1:8:64.")
@click.option(
    "--shapes", multiple=True, metavar="NAME=RANGE,…", callback=_shapes,
    help="Shapes of inputs, NAME=1x1x36x60:8x1x36x60:64x1x36x60; repeat it for more profiles.",
)  # fmt: skip
@click.option(
    "--min-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged, help="Least shapes, as trtexec has it."
)
@click.option("--opt-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged, help="Shapes to make fastest.")
@click.option("--max-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged, help="Greatest shapes.")
@click.option("--size", "sizes", multiple=True, metavar="NAME=RANGE", callback=_merged,
              help="A dynamic dimension by its name, in every input that has it.")  # fmt: skip
@click.option("--values", multiple=True, metavar="NAME=RANGE", callback=_merged,
              help="Values of an input that shape other tensors.")  # fmt: skip
@click.option("--fp16", is_flag=True, help="Compute in float16 wherever that is safe.")
@click.option("--bf16", is_flag=True, help="Compute in bfloat16 wherever that is safe.")
@click.option("--int8", is_flag=True, help="Compute in int8 where the model has Q/DQ nodes.")
@click.option("--fp8", is_flag=True, help="Compute in float8 where the model has Q/DQ nodes.")
@click.option("--tf32", is_flag=True, help="Let float32 products round their factors to ten bits.")
@click.option("--keep-float32", multiple=True, metavar="NAME", help="Compute this node, tensor or output in float32.")
@click.option("--reduced-io", is_flag=True, help="Make float32 inputs and outputs float16 (bfloat16), too.")
@click.option(
    "--workspace", type=click.FloatRange(min=0, min_open=True), metavar="MiB", help="Scratch memory of a layer."
)
@click.option("--optimization-level", type=click.IntRange(0, 5), metavar="0..5", help="0 builds fast, 5 runs fast.")
@click.option("--hardware-compatible", type=click.Choice([name.replace("_", "-") for name in get_args(HardwareLevel)]),
              help="Run on more GPUs than the one here.")  # fmt: skip
@click.option("--version-compatible", is_flag=True, help="Run with later versions of TensorRT, too.")
@click.option("--strip", is_flag=True, help="Leave out the weights; refitting puts them back.")
@click.option("--refit", is_flag=True, help="Let the weights be replaced later.")
@click.option("--timing-cache", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep measurements of kernels for the next build.")  # fmt: skip
@click.option("--tactic-sources", metavar="NAME,…", help="Take kernels from these libraries only.")
@click.option(
    "--outputs", multiple=True, metavar="NAME", help="Build this output, or inner tensor, only; repeat for more."
)
@click.option("--mark-all-outputs", is_flag=True, help="Make every inner tensor an output.")
@click.option("--target-sm", multiple=True, metavar="SM", help="Build for this compute capability, such as 8.9.")
@click.option("--flavor", type=click.Choice(NAMES), help="Which TensorRT builds; the first that is here.")
@click.option("--cache", is_flag=True, help="Take the engine from the cache, or put it there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(model: Path, engine: Path | None, flavor: str | None, cache: bool, as_json: bool, **words: Any) -> None:
    """Build a TensorRT engine from MODEL, an ONNX file.

    The engine is TensorRT's own file, for any tool that reads such. Beside it lies FILE.json: the model's outputs in
    their order, names, dtypes, profiles, and where the engine comes from.

    \b
    onepass build elg.onnx --fp16 --batch 1:8:64
    onepass build elg.onnx -o elg.engine --workspace 3000 \\
        --shapes eye=1x1x36x60:8x1x36x60:64x1x36x60
    onepass build elg.onnx --flavor tensorrt_rtx --target-sm 8.9 --batch 8
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    options = _options(words)
    engine = engine or model.with_suffix(".engine")
    builder = find_builder(flavor)
    with _following(builder, quiet=as_json) as follow, _leaving(builder):
        plan, known = build_with(model, engine, options, flavor=builder.name, cache=cache, progress=follow)
    if as_json:
        click.echo(json.dumps({"engine": str(engine), "cached": known, **plan.to_json()}, indent=2))
    else:
        _print(engine, plan, known=known)


def _options(words: dict[str, Any]) -> BuildOptions:
    workspace = words.pop("workspace")
    sources = words.pop("tactic_sources")
    level = words.pop("hardware_compatible")
    shapes = _profiles(words.pop("shapes"), [words.pop(f"{which}_shapes") for which in ("min", "opt", "max")])
    return BuildOptions(
        shapes=shapes,
        precision=[kind for kind in ("fp16", "bf16", "int8", "fp8") if words.pop(kind)],
        workspace_bytes=None if workspace is None else int(workspace * (1 << 20)),
        tactic_sources=None if sources is None else [name.strip() for name in sources.split(",")],
        hardware_compatible=None if level is None else level.replace("-", "_"),
        outputs=words.pop("outputs") or None,
        **words,
    )


def _profiles(whole: list[dict[str, ShapeRange]], parts: list[dict[str, ShapeRange]]) -> list[dict[str, ShapeRange]]:
    """Put trtexec's three options together; what is missing of them is as the next one that is there."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    if not names:
        return whole
    if whole:
        raise click.UsageError("--shapes says least, best and greatest at once; use it, or the other three")
    least, best, greatest = parts
    profile = {}
    for name in names:
        low = least.get(name) or best.get(name) or greatest[name]
        high = greatest.get(name) or best.get(name) or low
        profile[name] = ShapeRange(low.min, (best.get(name) or high).opt, high.max)
    return [profile]


@contextmanager
def _following(builder: Flavor, *, quiet: bool) -> Iterator[Follow | None]:
    """Show how far the build is, where TensorRT says it, or else that it goes on; nothing where nobody looks."""
    screen = Console(stderr=True)
    if quiet or not screen.is_terminal:
        yield None
        return
    knows = builder.has_progress_monitor
    bar = [BarColumn(), TextColumn("{task.percentage:>3.0f}%")] if knows else []
    columns = [SpinnerColumn(), TextColumn("{task.description}"), *bar, TimeElapsedColumn()]
    with Progress(*columns, console=screen, transient=True) as shown:
        task = shown.add_task(f"building with {builder}", total=1 if knows else None)

        def follow(step: Step) -> None:
            phase = step.phases[-1] if step.phases else "building"
            shown.update(task, completed=step.fraction, description=f"{phase:.40}")

        yield follow if knows else None


@contextmanager
def _leaving(builder: Flavor) -> Iterator[None]:
    """End the process at once on Ctrl-C where TensorRT cannot be stopped; nothing has been written by then."""
    try:
        yield
    except KeyboardInterrupt:
        if not builder.has_progress_monitor:
            click.echo("onepass: interrupted", err=True)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(130)
        raise


def _print(engine: Path, plan: Plan, *, known: bool) -> None:
    out = console()
    size = bytes_text(len(plan.engine_bytes()))
    how = "from the cache" if known else f"built in {plan.build_seconds:.1f} s"
    out.print(f"[bold]{escape(str(engine))}[/bold]: {size}, {how}", soft_wrap=True)
    where = "for any GPU that it supports" if plan.gpu is None and plan.compute_capability is None else plan.gpu or ""
    capability = f"compute capability {plan.compute_capability}" if plan.compute_capability else ""
    out.print(f"{plan.flavor} {plan.version}, {', '.join(filter(None, (where, capability)))}", markup=False)
    if plan.layer_types:
        counts = ", ".join(f"{count} in {name}" for name, count in sorted(plan.layer_types.items()))
        out.print(f"layers: {counts}")
    inputs, outputs = table("inputs", "name", "dtype", "shape", "profiles"), table("outputs", "name", "dtype", "shape")
    for rows, edges in ((inputs, plan.inputs), (outputs, plan.outputs)):
        for edge in edges:
            ranges = [str(each.shapes[edge.spec.name]) for each in plan.profiles if rows is inputs]
            cells = [escape(edge.spec.name), str(edge.spec.dtype), escape(shape_text(edge.spec.shape))]
            rows.add_row(*cells, *(["  ".join(ranges)] if ranges else []))
        out.print()
        out.print(rows)
