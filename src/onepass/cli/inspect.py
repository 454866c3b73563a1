"""``onepass inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from onepass.artifacts import sha256_of
from onepass.cli._tables import bytes_text, console, spec_table
from onepass.graph import OnnxGraph
from onepass.tensors import Signature


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(model: Path, as_json: bool) -> None:
    """Show what MODEL, an ONNX file, takes and gives.

    Prints inputs and outputs with their names, dtypes and shapes, in the model's own order, and the model's opset and
    size. Nothing is run.
    """
    graph = OnnxGraph.load(model)
    facts = _facts(model, graph)
    signature = graph.signature
    if as_json:
        click.echo(json.dumps({**facts, **signature.to_json()}, indent=2))
    else:
        _print(facts, signature)


def _facts(path: Path, graph: OnnxGraph) -> dict[str, Any]:
    weights = 0 if graph.folder is None else sum((graph.folder / name).stat().st_size for name in graph.weight_files)
    return {
        "file": str(path),
        "format": "onnx",
        "size_bytes": path.stat().st_size + weights,
        "sha256": sha256_of(path),
        "opset": graph.opset,
        "producer": f"{graph.proto.producer_name} {graph.proto.producer_version}".strip(),
        "nodes": len(graph.proto.graph.node),
        "parameters": graph.parameter_count,
        "weight_files": list(graph.weight_files),
        "metadata": graph.metadata,
    }


def _print(facts: dict[str, Any], signature: Signature) -> None:
    out = console()
    out.print(f"[bold]{escape(facts['file'])}[/bold]: ONNX, opset {facts['opset']}, {bytes_text(facts['size_bytes'])}")
    made = f", made by {escape(facts['producer'])}" if facts["producer"] else ""
    out.print(f"{facts['nodes']} nodes, {facts['parameters']:,} parameters{made}")
    for name in facts["weight_files"]:
        out.print(f"weights in {escape(name)}")
    out.print()
    out.print(spec_table("inputs", signature.inputs))
    out.print()
    out.print(spec_table("outputs", signature.outputs))
    if facts["metadata"]:
        out.print("\n[bold]metadata[/bold]")
        for key, value in facts["metadata"].items():
            out.print(f"{key}: {value}", markup=False)
