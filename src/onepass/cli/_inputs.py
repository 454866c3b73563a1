"""A model's inputs from files on the command line."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click
import numpy as np

from onepass._array_files import DEFAULT_MAX_BYTES, read_array, read_arrays
from onepass._errors import InputError, LeftOutWarning
from onepass.media.pictures import MAX_FILE_BYTES, read_picture
from onepass.media.tensors import tensor_from_picture
from onepass.outputs import Array
from onepass.tensors import Signature, TensorSpec, no_such_name


def sizes_option(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, int]:
    """Read ``NAME=SIZE`` words."""
    sizes = {}
    for word in words:
        name, _, size = word.rpartition("=")
        if not name or not (size.isascii() and size.isdigit()):
            raise click.BadParameter(f"{word!r}: expected NAME=SIZE, such as N=8")
        sizes[name] = int(size)
    return sizes


def shapes_option(
    _ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """Read ``NAME=SHAPE`` words; the shape of a scalar is empty."""
    shapes = {}
    for word in words:
        name, _, text = word.rpartition("=")
        parts = text.split("x") if text else []
        if not name or not all(part.isascii() and part.isdigit() for part in parts):
            raise click.BadParameter(f"{word!r}: expected NAME=SHAPE, such as x=1x3x48x192")
        shapes[name] = tuple(map(int, parts))
    return shapes


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for the sizes of random inputs; it receives them as `sizes` and `shapes`."""
    shape = click.option(
        "--shape", "shapes", multiple=True, metavar="NAME=SHAPE", callback=shapes_option,
        help="Complete shape of a random input, such as x=1x3x48x192, for dimensions without a name.",
    )  # fmt: skip
    size = click.option(
        "--size", "sizes", multiple=True, metavar="NAME=SIZE", callback=sizes_option,
        help="Size of a dynamic dimension of random inputs, such as N=8.  [default: 1]",
    )  # fmt: skip
    return size(shape(command))


def _bytes(_ctx: click.Context, _parameter: click.Parameter, word: str) -> int:
    """Read ``4G``, ``500M`` or ``65536``."""
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", word.upper(), flags=re.ASCII)
    if found is None:
        raise click.BadParameter(f"{word!r}: expected a number of bytes, such as 500M or 4G")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


max_bytes_option = click.option(
    "--max-bytes", metavar="SIZE", default="4G", show_default=True, callback=_bytes,
    help="Memory limit for one file of inputs.",
)  # fmt: skip


def outputs_option(help_text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option that selects outputs; a command receives them as `outputs`, empty if none is given.

    A user who selects outputs gets no warning about unsupported outputs of the model.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def chosen(*arguments: Any, outputs: tuple[str, ...], **rest: Any) -> None:
            with warnings.catch_warnings():
                if outputs:
                    warnings.simplefilter("ignore", LeftOutWarning)
                command(*arguments, outputs=outputs, **rest)

        option = click.option("--outputs", "--output", "outputs", multiple=True, metavar="NAME", help=help_text)
        return option(chosen)

    return decorated


def read_inputs(
    words: Sequence[str],
    signature: Signature,
    *,
    value_range: tuple[float, float],
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> dict[str, Array]:
    """Read the files of ``[NAME=]FILE`` words; several pictures for one input become one batch.

    Raises:
        InputError: A file cannot be read, or the input that it is for is ambiguous.
        MediaError: A picture cannot be read.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    feeds: dict[str, Array] = {}
    pictures: dict[str, list[Array]] = defaultdict(list)
    for word in words:
        name, file = _split(word, specs)
        suffix = file.suffix.lower()
        if suffix == ".npz" and name is None:
            _add(feeds, read_arrays(file, specs=specs, max_bytes=max_bytes), file)
            continue
        name = _only_input(file, specs) if name is None else name
        if suffix in (".npy", ".npz"):
            _add(feeds, {name: _read_named(file, name, specs[name], max_bytes)}, file)
        else:
            picture = read_picture(file, max_bytes=min(max_bytes, MAX_FILE_BYTES))
            pictures[name].append(tensor_from_picture(picture, specs[name], value_range=value_range))
    for name, batch in pictures.items():
        _add(feeds, {name: batch[0] if len(batch) == 1 else _stack(batch, name)}, name)
    return feeds


def read_examples(words: Sequence[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> dict[str, Array] | tuple[Array, ...]:
    """Read the files of ``[NAME=]FILE`` words for a network whose inputs are not known yet: by name, or in order.

    Raises:
        InputError: A file cannot be read, or only some files have names.
    """
    named: dict[str, Array] = {}
    in_order: list[Array] = []
    for word in words:
        name, equals, file = word.partition("=")
        if word.lower().endswith(".npz") and not equals:
            _add(named, read_arrays(word, max_bytes=max_bytes), word)
        elif equals and not Path(word).exists():
            _add(named, {name: _read_named(Path(file), name, None, max_bytes)}, word)
        else:
            in_order.append(_read_named(Path(word), word, None, max_bytes))
    if named and in_order:
        raise InputError("only some examples have names; give all of them as NAME=FILE, or none")
    return named or tuple(in_order)


def _add(feeds: dict[str, Array], arrays: dict[str, Array], origin: object) -> None:
    for name, array in arrays.items():
        if name in feeds:
            raise InputError(f"input {name!r} is given twice; {origin} is the second")
        feeds[name] = array


def _split(word: str, specs: dict[str, TensorSpec]) -> tuple[str | None, Path]:
    """Distinguish ``NAME=FILE`` from a file whose own name contains an equals sign."""
    name, equals, file = word.partition("=")
    if not (file if equals else name):
        raise InputError(f"--input {word!r}: expected FILE or NAME=FILE")
    if not equals or (name not in specs and Path(word).exists()):
        return None, Path(word)
    if name not in specs:
        raise InputError(no_such_name("input", name, tuple(specs)))
    return name, Path(file)


def _only_input(file: Path, specs: dict[str, TensorSpec]) -> str:
    if len(specs) != 1:
        raise InputError(f"{file}: the model has the inputs {', '.join(specs)}; choose one with -i NAME={file}")
    return next(iter(specs))


def _read_named(file: Path, name: str, spec: TensorSpec | None, max_bytes: int) -> Array:
    if file.suffix.lower() == ".npy":
        return read_array(file, spec=spec, max_bytes=max_bytes)
    return read_arrays(file, specs=None if spec is None else {name: spec}, only=name, max_bytes=max_bytes)[name]


def _stack(batch: list[Array], name: str) -> Array:
    if batch[0].ndim != 4:
        raise InputError(f"input {name!r} has no batch dimension: expected one picture, got {len(batch)}")
    shapes = {array.shape for array in batch}
    if len(shapes) > 1:
        raise InputError(f"the pictures for input {name!r} differ in size, and the model has no fixed size")
    return np.concatenate(batch)
