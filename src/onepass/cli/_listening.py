"""Options for a server's address and access control, shared by every command that serves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from onepass._errors import InputError
from onepass.web import Listening


def listening_options(port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options for a server's address; it receives them as `listening`.

    Args:
        port: The default port.
    """
    options = (
        click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True,
                     help="Address to listen on; 0.0.0.0 is every interface, and then callers need a token."),
        click.option("--port", type=click.IntRange(0, 65535), metavar="NUMBER", default=port, show_default=True,
                     help="Port; 0 chooses a free port."),
        click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE",
                     help="File with the token that callers need.  [default: generate and print one]"),
        click.option("--no-token", is_flag=True,
                     help="Accept every caller, for servers behind a proxy that authenticates."),
        click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE",
                     help="Certificate for TLS, in PEM format."),
        click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE",
                     help="Private key of the certificate, in PEM format."),
    )  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def collected(
            *arguments: Any,
            host: str,
            port: int,
            token_file: Path | None,
            no_token: bool,
            tls_cert: Path | None,
            tls_key: Path | None,
            **rest: Any,
        ) -> None:
            token = None if token_file is None else _token_of(token_file)
            listening = Listening(host, port, token, no_token=no_token, tls_cert=tls_cert, tls_key=tls_key).guarded()
            if not listening.is_loopback:
                click.echo(_warning(listening, made=token is None), err=True)
            command(*arguments, listening=listening, **rest)

        decorated: Callable[..., None] = collected
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _token_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(1100).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    try:
        return str(Listening(token=text).token)
    except InputError as error:
        raise InputError(f"{file} does not contain a token: {error}") from error


def _warning(listening: Listening, *, made: bool) -> str:
    text = f"onepass: other machines can reach {listening.host}"
    if listening.no_token:
        return f"{text}, and no token is required"
    if listening.scheme == "http":
        text += ", without TLS: anyone on the network path can read the token and all data"
    return f"{text}; the token is {listening.token}" if made else f"{text}; a token is required"
