"""``onepass build``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from onepass._printable import counted
from onepass.builder import Preview, Step, build_with, find_builder, preview
from onepass.builder import Progress as Follow
from onepass.cli._build_options import build_options, options_from
from onepass.cli._tables import bytes_text, console, escape, shape_cell, show, table
from onepass.engine import Plan
from onepass.engine.flavor import NAMES, Flavor
from onepass.tensors import dtype_name


@click.command("build")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "engine", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write the engine.  [default: MODEL with the suffix .engine]",
)  # fmt: skip
@build_options
@click.option(
    "--flavor", type=click.Choice(NAMES), help="TensorRT variant that builds.  [default: the first one installed]"
)
@click.option("--dry-run", is_flag=True, help="Run TensorRT's parser and show what would be built, but build nothing.")
@click.option("--cache", is_flag=True, help="Take the engine from the cache, or add it to the cache.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    model: Path, engine: Path | None, flavor: str | None, dry_run: bool, cache: bool, as_json: bool, **words: Any
) -> None:
    """Build a TensorRT engine from MODEL, an ONNX file.

    The engine is a plain TensorRT engine file, which other tools can read. The sidecar FILE.json records the outputs
    in the model's order, names, dtypes, profiles, and the engine's provenance.

    \b
    onepass build elg.onnx --fp16 --batch 1:8:64
    onepass build elg.onnx -o elg.engine --workspace 3000 \\
        --shapes eye=1x1x36x60:8x1x36x60:64x1x36x60
    onepass build elg.onnx --flavor tensorrt_rtx --target-sm 8.9 --batch 8
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    options = options_from(words)
    engine = engine or model.with_suffix(".engine")
    builder = find_builder(flavor)
    if dry_run:
        _print_preview(engine, preview(model, options, flavor=builder.name), as_json=as_json)
        return
    with _following(builder, quiet=as_json) as follow, _leaving(builder):
        plan, known = build_with(model, engine, options, flavor=builder.name, cache=cache, progress=follow)
    if as_json:
        click.echo(json.dumps({"engine": str(engine), "cached": known, **plan.to_json()}, indent=2))
    else:
        _print(engine, plan, known=known)


@contextmanager
def _following(builder: Flavor, *, quiet: bool) -> Iterator[Follow | None]:
    """Show the progress of the build on a terminal; only a spinner if this TensorRT reports no progress."""
    screen = console(stderr=True)
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
            shown.update(task, completed=step.fraction, description=escape(f"{phase:.40}"))

        yield follow if knows else None


@contextmanager
def _leaving(builder: Flavor) -> Iterator[None]:
    """On Ctrl-C, end the process at once if this TensorRT cannot be stopped; nothing has been written yet."""
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
    where = "for any supported GPU" if plan.gpu is None and plan.compute_capability is None else plan.gpu or ""
    capability = f"compute capability {plan.compute_capability}" if plan.compute_capability else ""
    out.print(f"{plan.flavor} {plan.version}, {', '.join(filter(None, (where, capability)))}", markup=False)
    if plan.layer_types:
        counts = ", ".join(f"{count} in {name}" for name, count in sorted(plan.layer_types.items()))
        out.print(f"layers: {counts}")
    _print_edges(out, plan)


def _print_preview(engine: Path, found: Preview, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"engine": str(engine), **found.to_json()}, indent=2))
        return
    out = console()
    out.print(f"[bold]{escape(str(engine))}[/bold] would be built by {found.flavor} {found.version}", soft_wrap=True)
    out.print(f"options: {json.dumps(found.options)}", markup=False, soft_wrap=True)
    for title, counts in (("nodes", found.node_types), ("network layers", found.network_types)):
        if counts:
            told = ", ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
            out.print(f"{title}: {told}", markup=False, soft_wrap=True)
    if found.network_layers is not None:
        out.print(f"TensorRT's parser accepts the model: {counted(found.network_layers, 'layer')} before fusion")
    else:
        out.print(f"TensorRT's parser did not run: {found.not_parsed}", markup=False, soft_wrap=True)
    for plugin in found.plugins:
        out.print(f"plugin: {plugin}", markup=False, soft_wrap=True)
    _print_edges(out, found)


def _print_edges(out: Console, made: Plan | Preview) -> None:
    inputs, outputs = table("inputs", "name", "dtype", "shape", "profiles"), table("outputs", "name", "dtype", "shape")
    for rows, edges in ((inputs, made.inputs), (outputs, made.outputs)):
        for edge in edges:
            ranges = [str(each.shapes[edge.spec.name]) for each in made.profiles if rows is inputs]
            cells = [escape(edge.spec.name), dtype_name(edge.spec.dtype), shape_cell(edge.spec.shape)]
            rows.add_row(*cells, *(["  ".join(ranges)] if ranges else []))
        out.print()
        show(out, rows)
