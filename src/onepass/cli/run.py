"""``onepass run``."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from onepass._errors import InputError
from onepass.cli._inputs import max_bytes_option, outputs_option, read_inputs, size_options
from onepass.cli._model import opening_options
from onepass.cli._stopping import stoppable
from onepass.cli._tables import console, outputs_table, show
from onepass.outputs import Outputs
from onepass.runtime import ModelSpec, load
from onepass.sampling import explained, random_inputs
from onepass.tensors import dtype_name
from onepass.writers import check_path, write_outputs


@click.command("run")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="[NAME=]FILE",
    help="A .npz with all inputs, a .npy, or a picture; repeat for more inputs, or for a batch of pictures.",
)  # fmt: skip
@click.option("--random", "randomly", is_flag=True, help="Fill every input not given with random numbers.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    default=0,
    show_default=True,
    help="Seed of the random numbers.",
)
@max_bytes_option
@size_options
@click.option(
    "--range", "value_range", type=(float, float), default=(0.0, 1.0), show_default=True, metavar="BLACK WHITE",
    help="Values of black and white when a picture is a floating-point input.",
)  # fmt: skip
@outputs_option("Compute only this output; repeat for more.")
@click.option(
    "-o", "--save", type=click.Path(path_type=Path), metavar="PATH",
    help="Write the outputs to a .npz, a .json, or (without suffix) a folder of .npy files.",
)  # fmt: skip
@opening_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@stoppable
def command(
    model: Path,
    inputs: tuple[str, ...],
    randomly: bool,
    seed: int,
    sizes: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
    value_range: tuple[float, float],
    outputs: tuple[str, ...],
    max_bytes: int,
    save: Path | None,
    as_json: bool,
    opening: dict[str, Any],
) -> None:
    """Run MODEL once and show every output: name, dtype, shape, range.

    \b
    onepass run elg.onnx --random
    onepass run elg.onnx -i eye.npy -o outputs.npz
    onepass run detector.onnx -i image=street.jpg --outputs boxes --outputs scores
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    if (sizes or shapes) and not randomly:
        raise click.UsageError("--size and --shape are for random inputs; add --random")
    if save is not None:
        check_path(save)
    with load(ModelSpec(str(model), **opening)) as session:
        signature = session.signature
        feeds = read_inputs(inputs, signature, value_range=value_range, max_bytes=max_bytes)
        if randomly:
            given = {name: array.shape for name, array in feeds.items()}  # which determine sizes of the others
            feeds = {**random_inputs(signature, sizes=sizes, shapes={**given, **shapes}, seed=seed), **feeds}
        elif not inputs and signature.inputs:
            names = ", ".join(f"{spec.name} ({spec})" for spec in signature.inputs)
            raise InputError(f"{model} needs input {names}; give files with -i NAME=FILE, or use --random")
        begin = time.perf_counter()
        with explained(signature, feeds) if randomly else nullcontext():
            found = session(feeds, outputs=outputs or None)
        seconds = time.perf_counter() - begin
        report = session.report()
    if save is not None:
        write_outputs(found, save)
    _print(found, seconds, report, save, as_json)


def _print(outputs: Outputs, seconds: float, report: dict[str, Any], save: Path | None, as_json: bool) -> None:
    if as_json:
        tensors = {name: {"dtype": dtype_name(a.dtype), "shape": list(a.shape)} for name, a in outputs.items()}
        saved = None if save is None else str(save)
        click.echo(json.dumps({"outputs": tensors, "seconds": seconds, "saved": saved, **report}, indent=2))
        return
    out = console()
    show(out, outputs_table(outputs))
    where = f"{report['backend']} {report.get('version', '')} on {report['device']}"
    less = f", optimised {report['optimize']}" if report.get("optimize", "all") != "all" else ""
    out.print(f"\none pass, the first: {seconds * 1e3:.2f} ms, {where}{less}")
    if save is not None:
        out.print(f"written to {save}", markup=False, soft_wrap=True)
