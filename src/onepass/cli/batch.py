"""``onepass batch``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, get_args

import click

from onepass._printable import printable
from onepass.batch import Engine, Manifest, Progress, is_unfinished, run
from onepass.cli._inputs import outputs_option
from onepass.cli._model import opening_options
from onepass.cli._progress import batch_bar
from onepass.cli._tables import console
from onepass.runtime import ModelSpec


def _columns(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    """Read ``INPUT=COLUMN`` words."""
    columns = dict(word.split("=", 1) for word in words if "=" in word)
    if len(columns) < len(words):
        raise click.BadParameter("expected INPUT=COLUMN, each input once, such as image=jpeg")
    return columns


@click.command("batch")
@click.argument("model", metavar="MODEL")
@click.argument("inputs", metavar="INPUTS...", nargs=-1, required=True)
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FOLDER", required=True,
              help="Where to write the Parquet files, and _SUCCESS when all are there.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with what an interrupted batch left, or begin.")
@outputs_option("Keep this output only; repeat for more.")
@click.option("--batch", type=click.IntRange(min=1), metavar="ROWS", default=32, show_default=True,
              help="The most rows of one pass; a model with a fixed batch takes that.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="COUNT",
              help="Processes, each with a model of its own.  [default: 1; on Ray what has room]")  # fmt: skip
@click.option("--preprocess", metavar="MODULE:FUNCTION",
              help="What makes the inputs of a row of a picture, arrays, or a table's row.")  # fmt: skip
@click.option("--gaze", is_flag=True,
              help="Find gaze in pictures and videos; MODEL is default, small or an eye network.")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="INPUT=COLUMN", callback=_columns,
              help="Column of a table for an input of another name; repeat for more.")  # fmt: skip
@click.option("--key", metavar="COLUMN", help="Column of a table that names its rows.  [default: their numbers]")
@click.option("--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True,
              metavar="BLACK WHITE", help="What black and white become when a picture feeds an input.")  # fmt: skip
@click.option("--on-error", type=click.Choice(["row", "stop"]), default="row", show_default=True,
              help="What a row that fails does: have its error in the files, or stop.")  # fmt: skip
@click.option("--rows-a-part", type=click.IntRange(min=1), metavar="ROWS",
              help="Rows of one file.  [default: 256 to 8192, by how many there are]")  # fmt: skip
@click.option("--patience", "patience_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              default=600.0, show_default=True, help="End a process that says nothing for so long.")  # fmt: skip
@click.option("--engine", type=click.Choice(get_args(Engine)), default="local", show_default=True,
              help="This machine, or the machines of a Ray cluster.")  # fmt: skip
@click.option("--address", metavar="ADDRESS", help="Ray cluster to work on.  [default: one that is started here]")
@opening_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def command(
    ctx: click.Context, /, model: str, inputs: tuple[str, ...], out: Path, as_json: bool, opening: dict[str, Any],
    outputs: tuple[str, ...], preprocess: str | None, **options: Any,
) -> None:  # fmt: skip
    """Take INPUTS through MODEL, row by row, and write every output as Parquet.

    INPUTS is a folder of pictures or arrays, a pattern in quotes, files, a Parquet data set, a .npz with a row each
    along the first axis, or a .jsonl. A row that fails has its error in the files, and the command then ends with 1.
    After Ctrl-C, a crash or a full disk, --resume goes on.

    \b
    onepass batch elg.onnx pictures/ -o landmarks --outputs landmarks
    onepass batch net.engine images.parquet -o out --column image=jpeg --key id
    onepass batch default clips/ -o gaze --gaze --workers 4
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if preprocess is not None:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - where the user's module is, as for `python -m`
    begun = False
    try:
        with batch_bar(out.name) as bar:

            def progress(now: Progress) -> None:
                nonlocal begun
                begun = True
                bar(now)

            manifest = run(
                ModelSpec(model, **opening), list(inputs), out, outputs=outputs or None, preprocess=preprocess,
                progress=progress, **options,
            )  # fmt: skip
    except BaseException:
        if begun and is_unfinished(out):
            click.echo(f"onepass: what is finished stays in {printable(str(out))}; --resume goes on", err=True)
        raise
    if as_json:
        click.echo(json.dumps({**manifest.to_json(), "folder": str(out)}, indent=2))
    else:
        _print(manifest)
    if manifest.errors:
        ctx.exit(1)


def _print(manifest: Manifest) -> None:
    out = console()
    rows = "" if manifest.rows == manifest.inputs else f", {manifest.rows} rows"
    failed = f", {manifest.errors} with an error" if manifest.errors else ""
    files = f"{len(manifest.parts)} file{'s' * (len(manifest.parts) > 1)}"
    text = f"{manifest.inputs} inputs{rows}{failed}{',' * bool(rows or failed)} in {files}"
    out.print(text, highlight=False, soft_wrap=True)
    out.print(f"written to {manifest.folder}", markup=False, highlight=False, soft_wrap=True)
