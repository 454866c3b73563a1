"""``onepass inspect``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import onnx
from rich.console import Console
from rich.table import Table

from onepass._errors import UnsupportedModelError
from onepass._printable import counted, printable
from onepass.artifacts import sha256_of
from onepass.cli._tables import bytes_text, console, escape, shape_cell, shorten, show, table
from onepass.engine import ShapeRange, layers_of_plan, read_sidecar
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.graph.edges import inputs_of, kind_of, spec_of, typed_outputs
from onepass.runtime import load
from onepass.tensors import Signature

# How much is shown of metadata, which may be long, and of the producer's name.
_NOTE_WIDTH, _MOST_NOTES, _PRODUCER_WIDTH = 120, 20, 40


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--layers", is_flag=True, help="Also list an engine's layers and their types; needs its GPU.")
@click.option("--plugins", multiple=True, metavar="FILE", help="Plugin library that --layers needs; repeat for more.")
@click.option("--metadata", is_flag=True, help="Print the model's metadata in full.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(model: Path, layers: bool, plugins: tuple[str, ...], metadata: bool, as_json: bool) -> None:
    """Show the inputs and outputs of MODEL, an ONNX file or an engine.

    Prints names, dtypes and shapes in the model's own order, and the model's opset and size. For an engine, only the
    sidecar is read, so no GPU is needed; an engine without a sidecar is loaded on its GPU. The
    model does not run.
    """
    kind = format_of(model)
    if layers and kind is not Format.ENGINE:
        raise click.UsageError(f"--layers requires an engine; {model} is {kind.value}")
    if kind is Format.ENGINE:
        facts = _facts_of_engine(model, layers=layers, plugins=plugins)
    elif kind is Format.ORT:
        facts = _facts_of_ort(model)
    else:
        facts = _facts(model, OnnxGraph.load(model))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts, whole_notes=metadata)


def _facts(path: Path, graph: OnnxGraph) -> dict[str, Any]:
    names = [value.name for value in graph.proto.graph.output]
    return {
        "file": str(path),
        "format": "onnx",
        "size_bytes": graph.size_bytes,
        "sha256": sha256_of(path),
        "opset": graph.opset,
        "producer": f"{graph.proto.producer_name} {graph.proto.producer_version}".strip(),
        "nodes": len(graph.proto.graph.node),
        "parameters": graph.parameter_count,
        "weight_files": list(graph.weight_files),
        "metadata": graph.metadata,
        "inputs": _edges(inputs_of(graph.proto.graph)),
        "outputs": _edges({value.name: value for value in typed_outputs(graph.proto)}.values()),
        "listed_twice": sorted(name for name, count in Counter(names).items() if count > 1),
    }


def _edges(values: Iterable[onnx.ValueInfoProto]) -> list[dict[str, Any]]:
    """Describe inputs or outputs, including those that are not dense tensors."""
    edges = []
    for value in values:
        try:
            edges.append(spec_of(value).to_json())
        except UnsupportedModelError:
            edges.append(_unmoved(value.name, kind_of(value)))
    return edges


def _unmoved(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "dtype": f"{kind} (not supported)", "shape": None}


def _facts_of_signature(signature: Signature) -> dict[str, Any]:
    facts = signature.to_json()
    facts["outputs"] += [_unmoved(name, kind) for name, kind in facts.pop("left_out", {}).items()]
    return facts


def _facts_of_engine(path: Path, *, layers: bool, plugins: Sequence[str]) -> dict[str, Any]:
    """Describe an engine by its sidecar; without a sidecar, load the engine."""
    plan = read_sidecar(path)
    facts = {"file": str(path), "format": "engine", "size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
    if plan is None:
        if layers:
            raise click.UsageError(f"--layers requires a sidecar that says which TensorRT built {path}; it has none")
        with load(path, plugins=plugins or None) as session:
            return {**facts, **_facts_of_signature(session.signature)}
    if facts["sha256"] != plan.engine_sha256:
        plan.engine_bytes()  # raises an error that says what to do
    found = [layer._asdict() for layer in layers_of_plan(plan, plugins=plugins)] if layers else None
    return {**facts, **plan.to_json(), **({} if found is None else {"layers": found})}


def _facts_of_ort(path: Path) -> dict[str, Any]:
    with load(path) as session:
        signature = _facts_of_signature(session.signature)
    return {
        "file": str(path),
        "format": "ort",
        "size_bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        **signature,
    }


def _print(facts: dict[str, Any], *, whole_notes: bool) -> None:
    out = console()
    opset = f", opset {facts['opset']}" if "opset" in facts else ""
    size = bytes_text(facts["size_bytes"])
    out.print(f"[bold]{escape(facts['file'])}[/bold]: {facts['format'].upper()}{opset}, {size}", soft_wrap=True)
    if "flavor" in facts:
        _print_build(facts)
    if "nodes" in facts:
        made = f", made by {escape(shorten(facts['producer'], _PRODUCER_WIDTH))}" if facts["producer"] else ""
        parameters = counted(facts["parameters"], "parameter")
        out.print(f"{counted(facts['nodes'], 'node')}, {parameters}{made}", soft_wrap=True)
    for name in facts.get("weight_files", ()):
        out.print(f"weights in {escape(name)}", soft_wrap=True)
    for kind in ("inputs", "outputs"):
        out.print()
        show(out, _edge_table(kind, facts[kind]))
    for name in facts.get("listed_twice", ()):
        show(out, f"{name} is listed more than once as an output; it is a single output")
    if facts.get("metadata"):
        _print_notes(out, facts["metadata"], whole=whole_notes)


def _print_notes(out: Console, notes: Mapping[str, str], *, whole: bool) -> None:
    """Print a model's metadata, one line per entry unless requested in full: entries may be long."""
    out.print("\n[bold]metadata[/bold]")
    width = min(out.width, _NOTE_WIDTH)
    for number, (key, value) in enumerate(notes.items()):
        if whole:
            out.print(f"{key}:" if "\n" in value else f"{key}: {value}", markup=False, soft_wrap=True)
            for line in value.splitlines() if "\n" in value else ():
                out.print(f"  {line}", markup=False, soft_wrap=True)
        elif number < _MOST_NOTES:
            out.print(shorten(printable(f"{key}: {value}"), width), markup=False, soft_wrap=True)
    hidden = any(len(printable(f"{key}: {value}")) > width for key, value in notes.items())
    if not whole and (hidden or len(notes) > _MOST_NOTES):
        out.print(
            f"({counted(len(notes), 'entry', 'entries')}, shortened; --metadata prints them in full)", markup=False
        )


def _print_build(facts: dict[str, Any]) -> None:
    out = console()
    where = facts["gpu"] or "no GPU"
    capability = f", for compute capability {facts['compute_capability']}" if facts["compute_capability"] else ""
    seconds = facts["build_seconds"]
    out.print(f"built by {facts['flavor']} {facts['version']} on {where}{capability} in {seconds} s", markup=False)
    out.print(f"options: {json.dumps(facts['options'])}", markup=False, soft_wrap=True)
    for number, profile in enumerate(facts["profiles"]):
        ranges = {**profile["shapes"], **profile["values"]}
        text = ", ".join(f"{name}={ShapeRange.from_json(each)}" for name, each in ranges.items())
        out.print(f"profile {number}: {text}", markup=False, soft_wrap=True)
    counts = ", ".join(f"{count} in {name}" for name, count in sorted(facts["layer_types"].items()))
    out.print(f"layers: {counts or 'types unknown'}", markup=False)
    for layer in facts.get("layers", ()):
        out.print(f"  {layer['name']} ({layer['kind']}): {' '.join(layer['types'])}", markup=False, soft_wrap=True)


def _edge_table(title: str, edges: list[dict[str, Any]]) -> Table:
    rows = table(title, "name", "dtype", "shape")
    for edge in edges:
        shape = edge["shape"]
        rows.add_row(escape(edge["name"]), edge["dtype"], shape_cell(None if shape is None else tuple(shape)))
    return rows
