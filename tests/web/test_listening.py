"""Where a server listens: the value, its token, its port."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from onepass import InputError
from onepass.web import Listening

_HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"host": ""}, "host must be an address"),
        ({"host": "http://here"}, "host must be an address"),
        ({"port": 65536}, "port must be a whole number from 0 to 65535, got 65536"),
        ({"port": True}, "port must be a whole number"),
        ({"token": "short"}, "token must have 8 to 1024 characters"),
        ({"token": "with a space"}, "token must have 8"),
        ({"token": "twelve\r\nsigns"}, "token must have 8"),
        ({"token": "12345678", "no_token": True}, "no_token=True exclude each other"),
        ({"tls_cert": "a.pem"}, "TLS needs both"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(given: dict[str, Any], words: str) -> None:
    """A value that no server can have is refused with what it may be."""
    with pytest.raises(InputError, match=words):
        Listening(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"])
def test_loopback_needs_no_token(host: str) -> None:
    """Where only this machine can call, nothing is made up; a token that is given counts all the same."""
    assert Listening(host).guarded() == Listening(host)
    assert Listening(host, token="given-one").guarded().token == "given-one"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "eyes.example"])
def test_other_addresses_get_a_token(host: str) -> None:
    """Where other machines can call there is a token, a new one each time, unless it is given or declined."""
    made = [Listening(host).guarded().token for _ in range(2)]
    assert None not in made
    assert made[0] != made[1]
    assert Listening(host, token="given-one").guarded().token == "given-one"
    assert Listening(host, no_token=True).guarded().token is None


def test_the_token_is_not_shown() -> None:
    """A token stays out of logs that show the value."""
    assert "given-one" not in repr(Listening(token="given-one"))


def test_a_taken_port_is_told() -> None:
    """A port that another program has is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} of 127\.0\.0\.1 .*in use.*choose another, or port=0"):
            Listening(port=port).bind()


def test_an_address_of_nobody_is_told() -> None:
    """An address that is none of this machine, or no name at all, is refused by name."""
    with pytest.raises(InputError, match=r"cannot listen on port 8000 of 192\.0\.2\.1"):
        Listening("192.0.2.1").bind()
    with pytest.raises(InputError, match=r"cannot resolve the host 'no\.such\.name\.invalid'"):
        Listening("no.such.name.invalid").bind()


def test_addresses() -> None:
    """The address is what a browser takes, of IPv6 and with TLS too."""
    assert Listening().address(80) == "http://127.0.0.1:80"
    tls = Listening("::1", tls_cert=_HERE / "localhost.pem", tls_key=_HERE / "localhost.key")
    assert tls.address(443) == "https://[::1]:443"


def test_what_is_no_certificate_is_told(tmp_path: Path) -> None:
    """Files that are missing, or no certificate and key, are named."""
    other = tmp_path / "other.pem"
    other.write_text("nothing")
    for cert in (other, tmp_path / "missing.pem"):
        with pytest.raises(
            InputError, match=rf"cannot load the TLS certificate .*{cert.name} with the key .*localhost\.key"
        ):
            Listening(tls_cert=cert, tls_key=_HERE / "localhost.key").tls()
