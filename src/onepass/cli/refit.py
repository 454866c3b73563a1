"""``onepass refit``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from onepass.builder import refit
from onepass.cli._tables import bytes_text, console, escape


@click.command("refit")
@click.argument("engine", type=click.Path(path_type=Path))
@click.option("--from", "model", type=click.Path(path_type=Path), metavar="FILE", required=True,
              help="ONNX file with the new weights.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Where to write the new engine.  [default: replace ENGINE]")  # fmt: skip
@click.option("--plugins", multiple=True, metavar="FILE", help="Plugin library that ENGINE needs; repeat for more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(engine: Path, model: Path, output: Path | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """Replace the weights of ENGINE with those of a model, in seconds instead of minutes.

    ENGINE must have been built with --refit or --strip, with its sidecar beside it. The model must have the same
    layers; the options of the build are applied to it. Needs the GPU that ENGINE runs on.

    \b
    onepass build elg.onnx --refit --batch 1:8:64
    onepass refit elg.engine --from trained-further.onnx -o new.engine
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    written = output or engine
    plan = refit(engine, model, written, plugins=plugins)
    if as_json:
        click.echo(json.dumps({"engine": str(written), **plan.to_json()}, indent=2))
    else:
        size = bytes_text(len(plan.engine_bytes()))
        console().print(f"[bold]{escape(str(written))}[/bold]: {size}, weights of {escape(str(model))}", soft_wrap=True)
