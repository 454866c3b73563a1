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

# Characters that headers and cookies hold without escaping (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,1024}")
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, and who may call it.

    Attributes:
        host: Address or name to listen on. By default loopback: only programs on this machine can connect.
        port: Port; 0 picks a free one.
        token: The token that callers must send. If other machines can reach the address, `guarded` generates one.
        no_token: Whether to require no token on such an address, because a proxy in front controls access.
        tls_cert: PEM file with the server's certificate and its chain; with `tls_key`, the server uses TLS.
        tls_key: PEM file with the certificate's private key.

    Raises:
        InputError: A value has the wrong type or is out of range, or two values contradict each other.
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
            raise InputError(f"host must be an address or a name, such as 127.0.0.1, ::1 or 0.0.0.0; got {host!r}")
        port: Any = self.port
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise InputError(f"port must be a whole number from 0 to 65535, got {port!r}")
        token: Any = self.token
        if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise InputError("token must have 8 to 1024 characters from A-Z a-z 0-9 . _ ~ + / = -")
        if token is not None and self.no_token:
            raise InputError("a token and no_token=True exclude each other; omit one of them")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs both tls_cert=… and tls_key=…")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def scheme(self) -> str:
        """``https`` with TLS, otherwise ``http``."""
        return "http" if self.tls_cert is None else "https"

    def guarded(self) -> Listening:
        """Return this value, with a generated token if other machines can reach the address and none is given."""
        if self.token is not None or self.no_token or self.is_loopback:
            return self
        return replace(self, token=secrets.token_urlsafe(24))

    def address(self, port: int) -> str:
        """Return the URL of a server on this port."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

    def bind(self, *, option: str = "port") -> socket.socket:
        """Return a listening socket.

        Args:
            option: The caller's name for the port option, for messages.

        Raises:
            InputError: The port is in use or not permitted, or the address does not belong to this machine.
        """
        where = f"port {self.port} of {self.host}"
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = socket.socket(family, kind, protocol)
        except OSError as error:
            raise InputError(f"cannot resolve the host {self.host!r}: {error}") from error
        try:
            if os.name == "posix":  # on Windows, two programs could then share a port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except PermissionError as error:
            bound.close()
            raise InputError(f"no permission for {where}; use a port above 1023, such as {option}=8000") from error
        except OSError as error:
            bound.close()
            if self.port:
                hint = f"choose another, or {option}=0 for a free one"
                raise InputError(f"cannot listen on {where} ({error.strerror or error}); {hint}") from error
            raise InputError(f"cannot listen on {self.host}: {error.strerror or error}") from error
        return bound

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context; None without TLS.

        Raises:
            InputError: A file cannot be read, or the certificate and the key do not match.
        """
        if self.tls_cert is None or self.tls_key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An empty password prevents a prompt, at which an unattended server would wait forever.
            context.load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot load the TLS certificate {self.tls_cert} with the key {self.tls_key} ({error}); both must be "
                "PEM files, and the key must have no password"
            ) from error
        return context
