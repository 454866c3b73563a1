"""``onepass batch``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, get_args

import click

from onepass._printable import counted, printable
from onepass.batch import Engine, Manifest, Progress, is_unfinished, run
from onepass.cli._inputs import outputs_option
from onepass.cli._model import opening_options
from onepass.cli._progress import batch_bar
from onepass.cli._tables import console
from onepass.cli._words import in_words_of
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
              help="Folder for the Parquet files, and for _SUCCESS once all are complete.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Continue an interrupted batch, or start a new one.")
@outputs_option("Keep only this output; repeat for more.")
@click.option("--batch", type=click.IntRange(min=1), metavar="ROWS", default=32, show_default=True,
              help="Maximum rows per pass; a model with a fixed batch size uses that size.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="COUNT",
              help="Worker processes, each with its own model.  [default: 1; on Ray, as many as fit]")  # fmt: skip
@click.option("--preprocess", metavar="MODULE:FUNCTION",
              help="Function that makes a row's inputs from a picture, arrays, or a table row.")  # fmt: skip
@click.option("--gaze", is_flag=True,
              help="Find gaze in pictures and videos; MODEL is default, small, or an eye network.")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="INPUT=COLUMN", callback=_columns,
              help="Table column for an input of another name; repeat for more.")  # fmt: skip
@click.option("--key", metavar="COLUMN", help="Table column with the keys of the rows.  [default: row numbers]")
@click.option("--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True,
              metavar="BLACK WHITE", help="Values of black and white when a picture is the input.")  # fmt: skip
@click.option("--on-error", type=click.Choice(["row", "stop"]), default="row", show_default=True,
              help="If a row fails: write its error to the files, or stop.")  # fmt: skip
@click.option("--rows-a-part", type=click.IntRange(min=1), metavar="ROWS",
              help="Rows per file.  [default: 256 to 8192, depending on their number]")  # fmt: skip
@click.option("--patience", "patience_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              default=600.0, show_default=True, help="End a worker that reports nothing for this long.")  # fmt: skip
@click.option("--engine", type=click.Choice(get_args(Engine)), default="local", show_default=True,
              help="Run on this machine, or on a Ray cluster.")  # fmt: skip
@click.option("--address", metavar="ADDRESS", help="Address of the Ray cluster.  [default: start one here]")
@opening_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def command(
    ctx: click.Context, /, model: str, inputs: tuple[str, ...], out: Path, as_json: bool, opening: dict[str, Any],
    outputs: tuple[str, ...], preprocess: str | None, **options: Any,
) -> None:  # fmt: skip
    """Run MODEL on INPUTS, row by row, and write every output as Parquet.

    INPUTS is a folder of pictures or arrays, a quoted pattern, files, a Parquet data set, a .npz whose first axis
    counts the rows, or a .jsonl. If a row fails, its error is written to the files and the exit status is 1. After
    Ctrl-C, a crash or a full disk, --resume continues.

    \b
    onepass batch elg.onnx pictures/ -o landmarks --outputs landmarks
    onepass batch net.engine images.parquet -o out --column image=jpeg --key id
    onepass batch default clips/ -o gaze --gaze --workers 4
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if preprocess is not None:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the folder of the user's module, as for `python -m`
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
            click.echo(f"onepass: finished files stay in {printable(str(out))}; --resume continues", err=True)
        raise
    if as_json:
        click.echo(json.dumps({**manifest.to_json(), "folder": str(out)}, indent=2))
    else:
        _print(manifest)
    if (first := manifest.first_error()) is not None:
        root = ctx.find_root().command
        error = in_words_of(first[1], ["batch"], root) if isinstance(root, click.Group) else first[1]
        said = f"onepass: first error, for key {first[0]!r}: {error}; the column 'error' has all of them"
        click.echo(printable(said), err=True)
        ctx.exit(1)


def _print(manifest: Manifest) -> None:
    out = console()
    rows = "" if manifest.rows == manifest.inputs else f", {manifest.rows} rows"
    failed = f", {manifest.errors} with an error" if manifest.errors else ""
    files = counted(len(manifest.parts), "file")
    text = f"{counted(manifest.inputs, 'input')}{rows}{failed}{',' * bool(rows or failed)} in {files}"
    out.print(text, highlight=False, soft_wrap=True)
    out.print(f"written to {manifest.folder}", markup=False, highlight=False, soft_wrap=True)
