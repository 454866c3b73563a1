"""``onepass inspect``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import onnx
from rich.markup import escape
from rich.table import Table

from onepass._errors import UnsupportedModelError
from onepass.artifacts import sha256_of
from onepass.cli._tables import bytes_text, console, table
from onepass.formats import Format, format_of
from onepass.graph import OnnxGraph, kind_of, spec_of
from onepass.runtime import load
from onepass.tensors import shape_text


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(model: Path, as_json: bool) -> None:
    """Show what MODEL, an ONNX file, takes and gives.

    Prints inputs and outputs with their names, dtypes and shapes, in the model's own order, and the model's opset and
    size. Nothing is run.
    """
    facts = _facts_of_ort(model) if format_of(model) is Format.ORT else _facts(model, OnnxGraph.load(model))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


def _facts(path: Path, graph: OnnxGraph) -> dict[str, Any]:
    weights = {tensor.name for tensor in graph.proto.graph.initializer}
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
        "inputs": _edges(value for value in graph.proto.graph.input if value.name not in weights),
        "outputs": _edges(graph.proto.graph.output),
    }


def _edges(values: Iterable[onnx.ValueInfoProto]) -> list[dict[str, Any]]:
    """Describe inputs or outputs, those that onepass cannot move included: who looks wants to see them too."""
    edges = []
    for value in values:
        try:
            edges.append(spec_of(value).to_json())
        except UnsupportedModelError:
            edges.append({"name": value.name, "dtype": f"{kind_of(value)} (not supported)", "shape": None})
    return edges


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


def _edge_table(title: str, edges: list[dict[str, Any]]) -> Table:
    rows = table(title, "name", "dtype", "shape")
    for edge in edges:
        shape = None if edge["shape"] is None else tuple(edge["shape"])
        rows.add_row(escape(edge["name"]), edge["dtype"], escape(shape_text(shape)))
    return rows
