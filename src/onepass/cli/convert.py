"""``onepass convert``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import click

from onepass.cli._inputs import max_bytes_option, read_examples
from onepass.cli._stopping import interruptible
from onepass.cli._tables import bytes_text, console, escape, shape_cell, show, table
from onepass.cli._trust import is_trusted, trust_option
from onepass.formats import Format, format_of
from onepass.source import DEFAULT_TIMEOUT_S, Batch, Conversion, convert
from onepass.tensors import dtype_name


def _batch(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> Batch:
    if word is None or word == "dynamic":
        return cast("Batch", word)
    if word.isascii() and word.isdigit() and int(word):
        return int(word)
    raise click.BadParameter(f"{word!r}: expected a whole number ≥ 1, or dynamic")


def _source(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> Path:
    """Return the path. A preceding "gazeml" is optional, because the format is recognized; if given, it is checked."""
    if len(words) == 2 and words[0] == "gazeml":
        kind = format_of(words[1])
        if kind is not Format.GAZEML:
            raise click.BadParameter(f"{words[1]} is {kind.value}; expected a folder of GazeML weights")
        return Path(words[1])
    if len(words) > 1:
        raise click.BadParameter(f"expected one model, got {len(words)}: {', '.join(words)}")
    return Path(words[0])


def _dynamic(
    _ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]
) -> dict[str, dict[int, str]] | None:
    sizes: dict[str, dict[int, str]] = {}
    for word in words:
        found = re.fullmatch(r"(.+):(-?\d+)=(.+)", word, flags=re.ASCII)
        if found is None:
            raise click.BadParameter(f"{word!r}: expected INPUT:AXIS=NAME, such as image:0=N")
        sizes.setdefault(found[1], {})[int(found[2])] = found[3]
    return sizes or None


@click.command("convert")
@click.argument("source", metavar="[gazeml] SOURCE", nargs=-1, required=True, callback=_source)
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write the ONNX model.  [default: SOURCE with the suffix .onnx]",
)  # fmt: skip
@click.option("--opset", type=int, metavar="NUMBER", help="ONNX opset.  [default: 17; 18 for PyTorch]")
@click.option("--outputs", multiple=True, metavar="NAME", help="Keep only this output; repeat for more, in order.")
@click.option(
    "--output-names", multiple=True, metavar="NAME", help="New name of the first output; repeat for the second, …"
)
@click.option("--batch", metavar="N|dynamic", callback=_batch, help="Batch size of the model: a number, or dynamic.")
@click.option("--channels-first", multiple=True, metavar="NAME",
              help="Make this input or output [N, channels, height, width]; repeat for more.")  # fmt: skip
@click.option(
    "--target",
    type=click.Choice(["tensorrt"]),
    help="Prepare the model for other TensorRT tools; not needed for onepass build.",
)
@click.option("--signature", metavar="NAME", help="Signature of a SavedModel or TFLite model.")
@click.option("--tag", metavar="TAG,…", help="Tags that select a graph of a SavedModel.")
@click.option(
    "--example", "example_inputs", multiple=True, metavar="[NAME=]FILE",
    help="Example input, a .npy or .npz; repeat for more, in order or by name. Required for TorchScript, and for "
         "networks that do not run on generated inputs.",
)  # fmt: skip
@click.option(
    "--dynamic", multiple=True, metavar="INPUT:AXIS=NAME", callback=_dynamic,
    help="A dynamic dimension of a TorchScript network, such as image:0=N; repeat for more.",
)  # fmt: skip
@click.option("--no-verify", is_flag=True, help="Do not compare with the framework; the file records this.")
@max_bytes_option
@trust_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=DEFAULT_TIMEOUT_S,
    show_default=True, metavar="SECONDS", help="Time limit for the framework, or for one run of an ONNX model.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    source: Path, file: Path | None, no_verify: bool, trust: bool, max_bytes: int, as_json: bool, **words: Any
) -> None:
    """Convert SOURCE, a trained network of another framework or an ONNX model, to ONNX.

    The framework and ONNX Runtime both run on random and extreme inputs; FILE is written only if every output agrees.
    If TensorFlow or PyTorch is missing, it is installed once, into a separate environment.

    The framework opens SOURCE. Files of TensorFlow, Keras and PyTorch are programs: opening one executes its code. On
    a terminal you are asked first; elsewhere --trust is required. They run in a separate process with a time limit,
    which protects against crashes, not against malicious files.

    \b
    onepass convert saved_model -o elg.onnx --batch dynamic --channels-first eye
    onepass convert face_landmark.tflite
    onepass convert gazeml ELG_i60x36_f60x36_n32_m2
    onepass convert detector.pt2
    onepass convert detector.pt --example image.npy --dynamic image:0=N
    onepass convert old.onnx -o new.onnx --outputs landmarks --outputs radius
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    file = file or _beside(source)
    trust = is_trusted(source, trust=trust)
    if words["example_inputs"]:
        words["example_inputs"] = read_examples(words["example_inputs"], max_bytes=max_bytes)
    words = {name: value for name, value in words.items() if value not in (None, ())}
    screen = console(stderr=True)
    with screen.status(f"converting {escape(str(source))}"), interruptible():
        conversion = convert(source, file, verify=not no_verify, trust=trust, **words)
    if as_json:
        click.echo(json.dumps(conversion.to_json(), indent=2))
    else:
        _print(conversion)


def _beside(source: Path) -> Path:
    """Return the default target of a conversion; a dot in a folder's name does not begin a suffix."""
    place = source.resolve() if source.name in ("", "..") else source
    return place.with_name(f"{place.name if place.is_dir() else place.stem}.onnx")


def _print(conversion: Conversion) -> None:
    out = console()
    size = bytes_text(conversion.path.stat().st_size)
    out.print(f"[bold]{escape(str(conversion.path))}[/bold]: {size}, in {conversion.seconds:.1f} s", soft_wrap=True)
    out.print(f"opened by {conversion.framework}", markup=False)
    errors = {error.name: error for error in conversion.errors}
    inputs, outputs = table("inputs", "name", "dtype", "shape"), table("outputs", "name", "dtype", "shape", "error")
    for rows, specs in ((inputs, conversion.signature.inputs), (outputs, conversion.signature.outputs)):
        for spec in specs:
            cells = [escape(spec.name), dtype_name(spec.dtype), shape_cell(spec.shape)]
            if rows is outputs:
                cells.append(errors[spec.name].summary if errors else "not verified")
            rows.add_row(*cells)
        out.print()
        show(out, rows)
