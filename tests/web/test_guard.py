"""Who may call a local server: names, origins, tokens."""

from __future__ import annotations

from typing import Any

import pytest

from onepass.web import Guard, Listening, Refusal, body_of
from tests.web.asgi import call

_HERE = {"Host": "localhost:8000"}
_TOKEN = "a-token-of-ours"


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


_LOCAL = Guard(_app, Listening())
_OPEN = Guard(_app, Listening("0.0.0.0", no_token=True))
_TOKENS = Guard(_app, Listening("0.0.0.0", token=_TOKEN), open_paths=["/health"])
_BROWSER = Guard(_app, Listening("0.0.0.0", token=_TOKEN), in_browser=True)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_own_names_are_let_in(host: str) -> None:
    """On loopback, requests to this machine's own names are answered, on whatever port a tunnel gives them."""
    assert call(_LOCAL, headers={"Host": host})[2] == b"inside"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "0.0.0.0"])
def test_foreign_names_are_refused(host: str) -> None:
    """A page whose name was turned to this machine (DNS rebinding) is refused, and so is one that names nobody."""
    status, _, body = call(_LOCAL, headers={"Host": host})
    assert status == 403
    assert b"accepts requests to localhost and 127.0.0.1 only" in body
    assert call(_LOCAL, headers={})[0] == 403


@pytest.mark.parametrize("guard", [_LOCAL, _OPEN], ids=["loopback", "open"])
def test_a_request_has_one_host(guard: Guard) -> None:
    """Of several hosts in one request nobody can say which counts, and a host names no user."""
    assert call(guard, headers={"Host": "localhost", "HOST": "evil.example"})[0] == 400
    assert call(guard, headers={"Host": "a@localhost"})[0] == 400


@pytest.mark.parametrize("guard", [_LOCAL, _OPEN], ids=["loopback", "open"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9000", "http://[", ""])
def test_pages_of_other_origins_are_refused(guard: Guard, origin: str) -> None:
    """A foreign page may not send, neither a request nor a WebSocket, whatever the address."""
    headers = {**_HERE, "Origin": origin}
    assert call(guard, headers=headers, method="POST")[0] == 403
    assert call(guard, headers=headers, kind="websocket")[0] == 1008


def test_own_pages_are_let_in() -> None:
    """A page that the server itself has given may send."""
    assert call(_LOCAL, headers={**_HERE, "Origin": "http://localhost:8000"})[0] == 200
    assert call(_OPEN, headers={"Host": "eyes.example", "Origin": "https://Eyes.example"})[0] == 200


@pytest.mark.parametrize("word", ["", "Bearer", "Bearer ", f"Bearer {_TOKEN}x", f"Basic {_TOKEN}", "Bearer \xff\xfe"])
def test_without_the_token_nobody_is_let_in(word: str) -> None:
    """Where there is a token, a request without it is refused, and told how to give it."""
    status, headers, body = call(_TOKENS, headers={"Authorization": word})
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert b"Authorization: Bearer TOKEN" in body
    assert call(_TOKENS, query=f"token={_TOKEN}")[0] == 401, "addresses are logged by proxies"
    assert call(_TOKENS, kind="websocket")[0] == 1008


def test_the_token_lets_in() -> None:
    """With the token a request is answered; paths that are open need none."""
    assert call(_TOKENS, headers={"Authorization": f"bearer {_TOKEN}"})[0] == 200
    assert call(_TOKENS, "/health")[0] == 200


def test_a_browser_keeps_the_token() -> None:
    """An address with the token leads to the same one without it and a cookie, which then lets in."""
    status, headers, _ = call(_BROWSER, "/a b\r\n", query=f"x=1&token={_TOKEN}")
    assert (status, headers["location"]) == (303, "/a%20b%0D%0A?x=1")
    cookie = headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert call(_BROWSER, headers={"Cookie": cookie.partition(";")[0]})[0] == 200
    assert call(_BROWSER, headers={"Cookie": cookie.partition(";")[0]}, kind="websocket")[0] == 200
    assert call(_BROWSER, headers={"Cookie": "onepass-8000=another"})[0] == 401
    assert call(_BROWSER, "//evil.example", query=f"token={_TOKEN}")[1]["location"] == "/evil.example"


def _echo(parts: list[bytes], headers: dict[str, str], most_bytes: int = 10) -> tuple[int, bytes]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await body_of(scope, receive, most_bytes=most_bytes, seconds=1)
        except Refusal as refusal:
            await refusal(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    status, _, body = call(app, headers=headers, parts=parts)
    return status, body


def test_bodies_are_bounded() -> None:
    """A body is read whole in whatever parts it comes; one that is longer is refused, whether it says so or not."""
    assert _echo([b"01234", b"", b"56789"], {}) == (200, b"0123456789")
    assert _echo([b"0123456789"], {"Content-Length": "10"}) == (200, b"0123456789")
    for parts, headers in (
        ([], {"Content-Length": "11"}),
        ([b"01234", b"56789", b"x"], {}),
        ([b"0123456789x"], {"Content-Length": "odd"}),
    ):
        status, body = _echo(parts, headers)
        assert status == 413
        assert b"accepts at most 10 bytes" in body
