"""Listening: where a server listens, and who may call it, as one value."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
import ssl
from dataclasses import dataclass, field, replace
from typing import Any

from onepass._errors import InputError

# What fits into a header and a cookie as it is (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,1024}")
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, and who may call it.

    Attributes:
        host: Address or name to listen on. Loopback by default: only programs on this machine can call.
        port: Port; 0 takes one that is free.
        token: What callers have to know. On an address that other machines reach, `guarded` makes one up.
        no_token: Whether to let everybody call on such an address: something in front of it checks who calls.
        tls_cert: PEM file with the server's certificate, and those that lead to its root; with `tls_key` the server
            speaks TLS.
        tls_key: PEM file with the certificate's private key.

    Raises:
        InputError: A value is of the wrong type or out of range, or two do not go together.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    no_token: bool = False
    tls_cert: str | os.PathLike[str] | None = None
    tls_key: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        host: Any = self.host
        if not isinstance(host, str) or not host or any(letter in host for letter in " /@[]%"):
            raise InputError(f"host is an address or a name, such as 127.0.0.1, ::1 or 0.0.0.0; got {host!r}")
        port: Any = self.port
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise InputError(f"port is a whole number from 0 to 65535, got {port!r}")
        token: Any = self.token
        if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise InputError("a token has 8 characters or more, of A-Z a-z 0-9 . _ ~ + / = -")
        if token is not None and self.no_token:
            raise InputError("a token is given, and no_token=True too; leave one of them out")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS takes both files, tls_cert=… and tls_key=…")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can call."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def scheme(self) -> str:
        """``https`` where the server speaks TLS, else ``http``."""
        return "http" if self.tls_cert is None else "https"

    def guarded(self) -> Listening:
        """Return this value with a token, made up where other machines reach the address and none is given."""
        if self.token is not None or self.no_token or self.is_loopback:
            return self
        return replace(self, token=secrets.token_urlsafe(24))

    def address(self, port: int) -> str:
        """Return the address of a server on that port, as a browser takes it."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    def bind(self, *, option: str = "port") -> socket.socket:
        """Return a socket that listens there.

        Args:
            option: What the caller calls the port, for messages.

        Raises:
            InputError: The port is taken, or may not be used; or the address is none of this machine.
        """
        where = f"port {self.port} of {self.host}"
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = socket.socket(family, kind, protocol)
        except OSError as error:
            raise InputError(f"{self.host!r} is no address or name that this machine knows: {error}") from error
        try:
            if os.name == "posix":  # elsewhere it would let two programs have one port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except PermissionError as error:
            bound.close()
            raise InputError(f"{where} may not be used by this user; take one above 1023, {option}=8000") from error
        except OSError as error:
            bound.close()
            if self.port:
                hint = f"choose another, or {option}=0 for one that is free"
                raise InputError(f"{where} cannot be listened on ({error.strerror or error}); {hint}") from error
            raise InputError(f"{self.host} cannot be listened on: {error.strerror or error}") from error
        return bound

    def tls(self) -> ssl.SSLContext | None:
        """Return what TLS needs; None where the server does not speak it.

        Raises:
            InputError: A file cannot be read, or the certificate and the key do not belong together.
        """
        if self.tls_cert is None or self.tls_key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a password: asked on a terminal that nobody watches, it would be waited for in silence.
            context.load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.tls_cert} and {self.tls_key} are no certificate in PEM and its key without a password: {error}"
            ) from error
        return context
