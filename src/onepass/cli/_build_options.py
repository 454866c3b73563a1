"""The options of ``onepass build``: one per field of `BuildOptions`, derived from its declaration or written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from onepass._errors import InputError
from onepass.builder.options import BEST, BuildOptions, parse_range, parse_shapes
from onepass.engine import ShapeRange
from onepass.engine.flavor import PRECISIONS

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _shapes(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> list[dict[str, ShapeRange]]:
    return [_usage(parse_shapes, word) for word in words]


def _merged(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, ShapeRange]:
    return {name: each for word in words for name, each in _usage(parse_shapes, word).items()}


def _pictures(_ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    return dict(_named(word, "NAME=ORDER, such as image=rgb") for word in words)


def _formats(
    _ctx: click.Context, _parameter: click.Parameter, words: tuple[str, ...]
) -> dict[str, str] | tuple[str, ...]:
    listed = [part for word in words for part in word.split(",")]
    if not any("=" in part for part in listed):
        return tuple(listed)
    return dict(_named(part, "NAME=TYPE, such as image=fp16") for part in listed)


def _named(word: str, what: str) -> tuple[str, str]:
    name, equals, value = word.rpartition("=")
    if not equals or not name:
        raise click.BadParameter(f"{word!r}: expected {what}")
    return name, value


def _range(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> ShapeRange | None:
    return None if word is None else _usage(parse_range, word)


def _usage(parse: Any, word: str) -> Any:
    try:
        return parse(word)
    except InputError as error:
        raise click.BadParameter(str(error)) from error


def _bytes(_ctx: click.Context, _parameter: click.Parameter, mebibytes: float | None) -> int | None:
    return None if mebibytes is None else int(mebibytes * (1 << 20))


def _listed(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> list[str] | None:
    return None if word is None else [name.strip() for name in word.split(",")]


def _underscored(_ctx: click.Context, _parameter: click.Parameter, word: str | None) -> str | None:
    return None if word is None else word.replace("-", "_")


# Options with their own syntax, each under its name in `BuildOptions`.
_OWN: Mapping[str, Sequence[Callable[[_Command], _Command]]] = {
    "batch": [
        click.option("--batch", metavar="RANGE", callback=_range,
                     help="Batch size of every input: 8, or a range MIN:OPT:MAX such as 1:8:64."),
    ],
    "shapes": [
        click.option("--shapes", multiple=True, metavar="NAME=RANGE,…", callback=_shapes,
                     help="Shapes of inputs, NAME=1x1x36x60:8x1x36x60:64x1x36x60; repeat for more profiles."),
        click.option("--min-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged,
                     help="Minimum shapes, as in trtexec."),
        click.option("--opt-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged,
                     help="Shapes to optimise for, as in trtexec."),
        click.option("--max-shapes", multiple=True, metavar="NAME=SHAPE,…", callback=_merged,
                     help="Maximum shapes, as in trtexec."),
    ],
    "sizes": [
        click.option("--size", "sizes", multiple=True, metavar="NAME=RANGE", callback=_merged,
                     help="Size of a dynamic dimension by name, in every input that has it."),
    ],
    "values": [
        click.option("--values", multiple=True, metavar="NAME=RANGE", callback=_merged,
                     help="Values of an input that determine the shapes of other tensors."),
    ],
    "precision": [
        click.option("--fp16", is_flag=True, help="Compute in float16 where this is safe."),
        click.option("--bf16", is_flag=True, help="Compute in bfloat16 where this is safe."),
        click.option("--int8", is_flag=True, help="Compute in int8 where the model has Q/DQ nodes."),
        click.option("--best", is_flag=True, help="Same as --fp16, plus --int8 if the model has Q/DQ nodes."),
        click.option("--fp8", is_flag=True, help="Compute in float8 where the model has Q/DQ nodes."),
    ],
    "picture_inputs": [
        click.option("--picture-input", "picture_inputs", multiple=True, metavar="NAME=ORDER[,MEAN,STD]",
                     callback=_pictures,
                     help="Accept uint8 pictures, N x H x W x C: rgb, or bgr,0.485:0.456:0.406,0.229:0.224:0.225."),
    ],
    "input_io_formats": [
        click.option("--input-io-formats", multiple=True, metavar="[NAME=]TYPE,…", callback=_formats,
                     help="Types of inputs: NAME=fp16, or one per input as in trtexec, fp16:chw,fp32:chw."),
    ],
    "output_io_formats": [
        click.option("--output-io-formats", multiple=True, metavar="[NAME=]TYPE,…", callback=_formats,
                     help="Types of outputs, in the same form."),
    ],
    "workspace_bytes": [
        click.option("--workspace", "workspace_bytes", type=click.FloatRange(min=0, min_open=True), metavar="MiB",
                     callback=_bytes, help="Workspace memory limit."),
    ],
    "tactic_sources": [
        click.option("--tactic-sources", metavar="NAME,…", callback=_listed,
                     help="Use kernels only from these libraries."),
    ],
}  # fmt: skip


def build_options(command: _Command) -> _Command:
    """Give a command one or more options for each field of `BuildOptions`, in order."""
    hints = get_type_hints(BuildOptions)
    for each in reversed(fields(BuildOptions)):
        for option in reversed(_OWN.get(each.name) or [option_of(each, hints[each.name])]):
            command = option(command)
    return command


def option_of(each: Field[Any], hint: Any) -> Callable[[_Command], _Command]:
    """Return the option for a field's declaration: a flag, a choice, a number, a file, or names."""
    word, facts = "--" + each.name.replace("_", "-"), each.metadata
    kinds = get_args(hint) or (hint,)
    choices = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
    settings: dict[str, Any] = {"help": facts["text"], "metavar": facts["unit"] or None}
    if bool in kinds:
        settings |= {"is_flag": True}
    elif choices:
        settings |= {"type": click.Choice([name.replace("_", "-") for name in choices]), "callback": _underscored}
    elif int in kinds:
        settings |= {"type": click.IntRange(*(facts["limits"] or (None, None)))}
    elif Path in kinds:
        settings |= {"type": click.Path(path_type=Path, dir_okay=False)}
    else:
        settings |= {"multiple": True}
    return click.option(word, each.name, **settings)


def options_from(words: Mapping[str, Any]) -> BuildOptions:
    """Return the `BuildOptions` for the values that `build_options` has read."""
    rest = dict(words)
    shapes = _profiles(rest.pop("shapes"), [rest.pop(f"{which}_shapes") for which in ("min", "opt", "max")])
    precision = [kind for kind in (*PRECISIONS, BEST) if rest.pop(kind)]
    given = {name: value for name, value in rest.items() if value not in (None, (), {})}
    return BuildOptions(shapes=shapes, precision=precision, **given)


def _profiles(whole: list[dict[str, ShapeRange]], parts: list[dict[str, ShapeRange]]) -> list[dict[str, ShapeRange]]:
    """Combine trtexec's three options; a missing one takes the value of its neighbour."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    if not names:
        return whole
    if whole:
        raise click.UsageError("--shapes excludes --min-shapes, --opt-shapes and --max-shapes; use either")
    least, best, greatest = parts
    profile = {}
    for name in names:
        low = least.get(name) or best.get(name) or greatest[name]
        high = greatest.get(name) or best.get(name) or low
        profile[name] = ShapeRange(low.min, (best.get(name) or high).opt, high.max)
    return [profile]
