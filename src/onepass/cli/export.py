"""``onepass export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click

from onepass.cli._group import Group
from onepass.cli._model import opening_options
from onepass.cli._tables import console, escape
from onepass.export import Exported, to_triton
from onepass.export.triton.repository import TritonBackend
from onepass.runtime.spec import ModelSpec


@click.group("export", cls=Group)
def command() -> None:
    """Export a model for other inference servers."""


@command.command("triton", short_help="Write a model repository for NVIDIA Triton.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", "repository", type=click.Path(path_type=Path), metavar="REPO", required=True,
              help="Folder of the model repository; created if missing.")  # fmt: skip
@click.option("--name", metavar="NAME", help="Name of the model in Triton.  [default: the file's name]")
@click.option("--backend", type=click.Choice(get_args(TritonBackend)),
              help="Triton backend; python runs onepass itself.  [default: the model's own]")  # fmt: skip
@click.option("--max-batch", type=click.IntRange(min=0), metavar="ITEMS",
              help="Maximum batch size; 0 turns batching off.  [default: the model's own]")  # fmt: skip
@click.option("--max-delay-ms", type=click.FloatRange(min=0), default=0, show_default=True, metavar="MS",
              help="How long a request may wait for others to join its batch.")  # fmt: skip
@click.option("--max-queue", type=click.IntRange(min=0), default=256, show_default=True, metavar="COUNT",
              help="Requests that may wait, 0 for any number; further ones are rejected.")  # fmt: skip
@click.option("--instances", type=click.IntRange(min=1), default=1, show_default=True, metavar="COUNT",
              help="Instances of the model that run in parallel.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a configuration that differs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@opening_options
def triton_command(
    model: Path, repository: Path, force: bool, as_json: bool, opening: dict[str, Any], **settings: Any
) -> None:
    """Write MODEL, an ONNX file or an engine, to a model repository for NVIDIA Triton.

    Inputs and outputs keep the model's names, dtypes and order. Triton's own backends run engines and ONNX files; with
    --backend python, onepass runs them inside Triton. If REPO already contains the model, it gets a new version.

    \b
    onepass export triton elg.engine -o models --max-delay-ms 1
    onepass export triton elg.onnx -o models --backend python
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    spec = ModelSpec(model, **opening)
    exported = to_triton(spec, repository, force=force, **settings)
    if as_json:
        click.echo(json.dumps(_facts(exported), indent=2))
    else:
        _print(exported)


def _facts(exported: Exported) -> dict[str, Any]:
    return {
        "name": exported.name,
        "version": exported.version,
        "backend": exported.backend,
        "folders": [str(folder) for folder in exported.folders],
        "max_batch": exported.max_batch,
        "notes": list(exported.notes),
    }


def _print(exported: Exported) -> None:
    out = console()
    for folder in exported.folders:
        out.print(f"[bold]{escape(str(folder))}[/bold], version {exported.version}", soft_wrap=True)
    together = f", batch size up to {exported.max_batch}" if exported.max_batch else ""
    out.print(f"Triton backend: {exported.backend}{together}", markup=False, soft_wrap=True)
    for note in exported.notes:
        out.print(note, markup=False, soft_wrap=True)
