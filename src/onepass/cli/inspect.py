"""``onepass inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import onnx
from rich.table import Table

from onepass._errors import UnsupportedModelError
from onepass.artifacts import sha256_of
from onepass.cli._tables import bytes_text, console, escape, table
from onepass.engine import ShapeRange, layers_of_plan, read_sidecar
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph
from onepass.graph.edges import inputs_of, kind_of, spec_of
from onepass.runtime import load
from onepass.tensors import shape_text


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--layers", is_flag=True, help="List an engine's layers and their types, too; needs its GPU.")
@click.option("--plugins", multiple=True, metavar="FILE", help="Library with plugins that --layers needs; repeat it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(model: Path, layers: bool, plugins: tuple[str, ...], as_json: bool) -> None:
    """Show what MODEL, an ONNX file or an engine, takes and gives.

    Prints inputs and outputs with their names, dtypes and shapes, in the model's own order, and the model's opset and
    size. Of an engine, its sidecar is read, so that no GPU is needed. Nothing is run.
    """
    kind = format_of(model)
    if layers and kind is not Format.ENGINE:
        raise click.UsageError(f"--layers is for engines; {model} is {kind.value}")
    if kind is Format.ENGINE:
        facts = _facts_of_engine(model, layers=layers, plugins=plugins)
    elif kind is Format.ORT:
        facts = _facts_of_ort(model)
    else:
        facts = _facts(model, OnnxGraph.load(model))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


def _facts(path: Path, graph: OnnxGraph) -> dict[str, Any]:
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
        "outputs": _edges(graph.proto.graph.output),
    }


def _edges(values: Iterable[onnx.ValueInfoProto]) -> list[dict[str, Any]]:
    """Describe inputs or outputs, those that are no dense tensors included: who looks wants to see them too."""
    edges = []
    for value in values:
        try:
            edges.append(spec_of(value).to_json())
        except UnsupportedModelError:
            edges.append({"name": value.name, "dtype": f"{kind_of(value)} (left out)", "shape": None})
    return edges


def _facts_of_engine(path: Path, *, layers: bool, plugins: Sequence[str]) -> dict[str, Any]:
    """Describe an engine by its sidecar; one without is loaded to be asked itself."""
    plan = read_sidecar(path)
    facts = {"file": str(path), "format": "engine", "size_bytes": path.stat().st_size, "sha256": sha256_of(path)}
    if plan is None:
        if layers:
            raise click.UsageError(f"{path} has no sidecar that says which TensorRT built it; --layers needs one")
        with load(path, plugins=plugins or None) as session:
            return {**facts, **session.signature.to_json()}
    if facts["sha256"] != plan.engine_sha256:
        plan.engine_bytes()  # raises, and says what to do
    found = [layer._asdict() for layer in layers_of_plan(plan, plugins=plugins)] if layers else None
    return {**facts, **plan.to_json(), **({} if found is None else {"layers": found})}


def _facts_of_ort(path: Path) -> dict[str, Any]:
    with load(path) as session:
        signature = session.signature.to_json()
    return {
        "file": str(path),
        "format": "ort",
        "size_bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        **signature,
    }


def _print(facts: dict[str, Any]) -> None:
    out = console()
    opset = f", opset {facts['opset']}" if "opset" in facts else ""
    size = bytes_text(facts["size_bytes"])
    out.print(f"[bold]{escape(facts['file'])}[/bold]: {facts['format'].upper()}{opset}, {size}", soft_wrap=True)
    if "flavor" in facts:
        _print_build(facts)
    if "nodes" in facts:
        made = f", made by {escape(facts['producer'])}" if facts["producer"] else ""
        out.print(f"{facts['nodes']} nodes, {facts['parameters']:,} parameters{made}")
    for name in facts.get("weight_files", ()):
        out.print(f"weights in {escape(name)}")
    for kind in ("inputs", "outputs"):
        out.print()
        out.print(_edge_table(kind, facts[kind]))
    if facts.get("metadata"):
        out.print("\n[bold]metadata[/bold]")
        for key, value in facts["metadata"].items():
            out.print(f"{key}: {value}", markup=False)


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
    out.print(f"layers: {counts or 'types not known'}", markup=False)
    for layer in facts.get("layers", ()):
        out.print(f"  {layer['name']} ({layer['kind']}): {' '.join(layer['types'])}", markup=False, soft_wrap=True)


def _edge_table(title: str, edges: list[dict[str, Any]]) -> Table:
    rows = table(title, "name", "dtype", "shape")
    for edge in edges:
        shape = None if edge["shape"] is None else tuple(edge["shape"])
        rows.add_row(escape(edge["name"]), edge["dtype"], escape(shape_text(shape)))
    return rows
