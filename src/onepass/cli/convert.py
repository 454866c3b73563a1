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
    raise click.BadParameter(f"expected a number from 1 up, or dynamic, got {word!r}")


def _source(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> Path:
    """Take the path; "gazeml" before it says what is recognised anyway, and is held to it."""
    if len(words) == 2 and words[0] == "gazeml":
        kind = format_of(words[1])
        if kind is not Format.GAZEML:
            raise click.BadParameter(f"{words[1]} is {kind.value}, not a folder of GazeML's weights")
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
    help="Where to write the ONNX model; SOURCE with the ending .onnx where not given.",
)  # fmt: skip
@click.option("--opset", type=int, metavar="NUMBER", help="Version of ONNX's operators.  [default: 17; 18 for PyTorch]")
@click.option("--outputs", multiple=True, metavar="NAME", help="Keep this output only; repeat it for more, in order.")
@click.option("--output-names", multiple=True, metavar="NAME", help="New name of the first output, the second, …")
@click.option("--batch", metavar="N|dynamic", callback=_batch, help="Items the model takes; any number if dynamic.")
@click.option("--channels-first", multiple=True, metavar="NAME",
              help="Make this input or output [N, channels, height, width]; repeat it for more.")  # fmt: skip
@click.option("--target", type=click.Choice(["tensorrt"]), help="For other tools of TensorRT; not for onepass build.")
@click.option("--signature", metavar="NAME", help="Which signature of a SavedModel or TFLite model.")
@click.option("--tag", metavar="TAG,…", help="Which graph of a SavedModel, by its tags.")
@click.option(
    "--example", "example_inputs", multiple=True, metavar="[NAME=]FILE",
    help="Input that the network runs on, a .npy or .npz; repeat it for more, in order or by name. TorchScript needs "
         "one, others where they do not run on inputs that are made up.",
)  # fmt: skip
@click.option(
    "--dynamic", multiple=True, metavar="INPUT:AXIS=NAME", callback=_dynamic,
    help="A size of a TorchScript network's input that may change, such as image:0=N; repeat it for more.",
)  # fmt: skip
@click.option("--no-verify", is_flag=True, help="Do not compare with the framework; the file remembers that.")
@max_bytes_option
@trust_option
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=DEFAULT_TIMEOUT_S,
    show_default=True, metavar="SECONDS", help="How long the framework may take, or one run of an ONNX model.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    source: Path, file: Path | None, no_verify: bool, trust: bool, max_bytes: int, as_json: bool, **words: Any
) -> None:
    """Make an ONNX model of SOURCE, a trained network of another framework, or of an ONNX model.

    The framework itself is run on random and extreme inputs beside ONNX Runtime, and FILE is written only if every
    output agrees. What is not installed of TensorFlow or PyTorch is installed into an environment of its own, once.

    SOURCE is opened by its framework. Files of TensorFlow, Keras and PyTorch are programs: what is in them is executed.
    On a terminal you are asked whether to run one; elsewhere --trust says so. It happens in a process of its own with a
    time limit, which guards against crashes, not against malice.

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
    """Return the file that a source is converted to unasked; what follows a dot in a folder's name is no ending."""
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
