"""Options for opening a model, shared by every command that runs one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, get_args

import click

from onepass._errors import InputError
from onepass.engine.flavor import NAMES
from onepass.runtime.spec import Devices, Optimize, devices_of


def _devices(_context: click.Context, _option: click.Parameter, word: str | None) -> Devices | None:
    try:
        return None if word is None else devices_of(word, between=",")
    except InputError as error:
        raise click.BadParameter(f"{word!r}: expected GPU numbers such as 0 or 0,1, or all") from error


_OPTIONS = (
    click.option("--provider", "providers", metavar="NAME", multiple=True,
                 help="ONNX Runtime execution provider, for ONNX models.  [default: cpu]"),
    click.option("--threads", type=click.IntRange(min=1), metavar="COUNT",
                 help="CPU threads, for ONNX models.  [default: depends on the model's size]"),
    click.option("--optimize", type=click.Choice(get_args(Optimize)),
                 help="Graph optimisations of ONNX Runtime.  [default: all that the model supports]"),
    click.option("--tf32", is_flag=True, default=None,
                 help="Allow TF32 with --provider cuda: faster, three digits of precision."),
    click.option("--device", callback=_devices, metavar="NUMBERS",
                 help="GPUs for engines and --provider cuda: 0, or 0,1, or all.  [default: 0]"),
    click.option("--keep-bytes", type=click.IntRange(min=0), metavar="BYTES",
                 help="Page-locked memory for results of a GPU.  [default: a fraction of the machine's]"),
    click.option("--flavor", type=click.Choice(NAMES), metavar="NAME",
                 help="TensorRT that runs an engine.  [default: the one that built it]"),
    click.option("--plugins", metavar="FILE", multiple=True,
                 help="Plugin library that an engine needs; repeat for more."),
    click.option("--weights", metavar="FILE",
                 help="ONNX file with the weights of an engine that was built without them."),
)  # fmt: skip


def opening_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for opening its model; it receives them as `opening`, arguments of a `ModelSpec`."""

    @wraps(command)
    def collected(
        *arguments: Any,
        providers: tuple[str, ...],
        threads: int | None,
        optimize: str | None,
        tf32: bool | None,
        device: Devices | None,
        keep_bytes: int | None,
        flavor: str | None,
        plugins: tuple[str, ...],
        weights: str | None,
        **rest: Any,
    ) -> None:
        opening = {
            "providers": providers or None, "threads": threads, "optimize": optimize, "device": device,
            "keep_bytes": keep_bytes, "tf32": tf32,
            "flavor": flavor, "plugins": plugins or None, "weights": weights,
        }  # fmt: skip
        command(*arguments, opening=opening, **rest)

    decorated: Callable[..., None] = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
