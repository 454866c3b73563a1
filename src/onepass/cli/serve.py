"""``onepass serve``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from onepass._errors import InputError
from onepass.cli._listening import listening_options
from onepass.cli._model import opening_options
from onepass.runtime import ModelSpec
from onepass.serve import Limits, Server
from onepass.web import Listening

_DEFAULT = Limits()
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)(:(?P<version>\d+))?=(?P<model>.+)", re.DOTALL)
_NO_LETTER = re.compile(r"[^A-Za-z0-9._-]")


@click.command("serve")
@click.argument("models", nargs=-1, required=True, metavar="[NAME[:VERSION]=]MODEL...")
@listening_options(8000)
@click.option("--grpc-port", type=click.IntRange(0, 65535), metavar="NUMBER", default=8001, show_default=True,
              help="Port for gRPC; 0 chooses a free port.")  # fmt: skip
@click.option("--no-grpc", is_flag=True, help="Serve HTTP only.")
@click.option("--max-batch", type=click.IntRange(min=1), metavar="ROWS", default=_DEFAULT.max_batch, show_default=True,
              help="Maximum rows per pass; 1 turns batching off.")  # fmt: skip
@click.option("--max-delay-ms", type=click.FloatRange(min=0), metavar="MS", default=_DEFAULT.max_delay_ms,
              show_default=True, help="How long a request waits for others to join its batch.")  # fmt: skip
@click.option("--max-queue", type=click.IntRange(min=1), metavar="COUNT", default=_DEFAULT.max_queue, show_default=True,
              help="Requests that may wait for a model; further ones are rejected.")  # fmt: skip
@click.option("--max-body-mb", type=click.FloatRange(min=0, min_open=True), metavar="MIB", default=_DEFAULT.max_body_mb,
              show_default=True, help="Maximum size of a request.")  # fmt: skip
@click.option("--max-connections", type=click.IntRange(min=1), metavar="COUNT", default=_DEFAULT.max_connections,
              show_default=True, help="Maximum concurrent connections.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Time limit for a pass of an ONNX model.  [default: no limit]")  # fmt: skip
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning",
              show_default=True, help="What to log: debug adds every request, info those rejected.")  # fmt: skip
@opening_options
def command(
    models: tuple[str, ...],
    listening: Listening,
    grpc_port: int,
    no_grpc: bool,
    log_level: str,
    opening: dict[str, Any],
    **limits: Any,
) -> None:
    """Serve each MODEL over the Open Inference Protocol until Ctrl-C or SIGTERM.

    This is version 2 of the protocol of Triton and KServe, over HTTP and gRPC.
    Concurrent requests are batched.

    \b
    onepass serve elg.onnx
    onepass serve eyes=elg.engine faces:1=old.onnx faces:2=new.onnx@cuda
    """  # noqa: D301 - click takes the backspace as "keep these lines"
    from onepass.serve.logs import write_logs  # noqa: PLC0415 - only this command logs

    named = named_models(models, opening)
    write_logs(log_level)
    server = Server(named, listening, grpc_port=None if no_grpc else grpc_port, limits=Limits(**limits))

    def ready() -> None:
        for served in server.models:
            joined = f"up to {served.max_batch} rows per pass" if served.max_batch > 1 else "no batching"
            click.echo(f"{served.name}, version {served.version}: {served.session.name}, {joined}", err=True)
        beside = f", gRPC on {server.grpc_address}" if server.grpc_address else ""
        click.echo(f"serving on {server.address}{beside}", err=True)

    server.run(ready)


def named_models(words: tuple[str, ...], opening: dict[str, Any]) -> dict[str, dict[str, ModelSpec]]:
    """Read ``MODEL``, ``NAME=MODEL`` and ``NAME:VERSION=MODEL``, each with options after an ``@``.

    Args:
        words: The words as typed. An existing file whose name contains an equals sign is taken as a file.
        opening: Options for models that do not set them after an ``@``.

    Raises:
        InputError: Two models have the same name and version.
    """
    found: dict[str, dict[str, ModelSpec]] = {}
    for word in words:
        said = None if Path(word).exists() else _NAMED.fullmatch(word)
        spec = ModelSpec.parse(said["model"] if said else word)
        name, equals, rest = word.partition("=")
        if (
            said is None
            and equals
            and not Path(spec.path).exists()
            and Path(ModelSpec.parse(rest or ".").path).is_file()
        ):
            raise InputError(
                f"{name!r} is not a valid name for {rest}: a name consists of letters, digits, '.', '_' and '-', and "
                f"a version, a whole number, may follow after a colon: eyes:2={rest}"
            )
        stem = _NO_LETTER.sub("-", Path(spec.path).stem).lstrip(".-") or "model"
        name, version = (said["name"], said["version"] or "1") if said else (stem, "1")
        versions = found.setdefault(name, {})
        if version in versions:
            raise InputError(
                f"{spec.path} and {versions[version].path} are both named {name}, version {version}; give one of them "
                f"another name, other={spec.path}, or another version, {name}:2={spec.path}"
            )
        versions[version] = replace(
            spec, **{key: value for key, value in opening.items() if getattr(spec, key) is None}
        )
    return found
