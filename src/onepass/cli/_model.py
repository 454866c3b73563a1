"""Options that say how to open a model, the same for every command that runs one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from onepass.engine.flavor import NAMES
from onepass.runtime import ModelSpec

_OPTIONS = (
    click.option("--provider", "providers", metavar="NAME", multiple=True,
                 help="ONNX Runtime execution provider, for ONNX models.  [default: cpu]"),
    click.option("--threads", type=click.IntRange(min=1), metavar="COUNT",
                 help="CPU threads, for ONNX models; chosen by the model's size where not given."),
    click.option("--device", type=click.IntRange(min=0), metavar="NUMBER",
                 help="GPU, from 0, for TensorRT engines.  [default: 0]"),
    click.option("--flavor", type=click.Choice(NAMES), metavar="NAME",
                 help="TensorRT that runs an engine; the one that built it where not given."),
)  # fmt: skip


def model_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument MODEL and options for how to open it, all of which it takes as one `ModelSpec`."""

    @wraps(command)
    def with_spec(
        *arguments: Any,
        model: Path,
        providers: tuple[str, ...],
        threads: int | None,
        device: int | None,
        flavor: str | None,
        **rest: Any,
    ) -> None:
        spec = ModelSpec(str(model), providers=providers or None, threads=threads, device=device, flavor=flavor)
        command(*arguments, spec=spec, **rest)

    decorated: Callable[..., None] = with_spec
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return click.argument("model", type=click.Path(path_type=Path))(decorated)
