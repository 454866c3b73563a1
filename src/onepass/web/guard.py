"""Access control: check every request before the application sees it."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from onepass.web.listening import Listening
from onepass.web.refusal import App, Receive, Refusal, Scope, Send, header

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """An ASGI application that passes authorized requests to another one.

    On loopback, only requests to this machine's own names are accepted: a foreign page whose name resolves to 127.0.0.1
    (DNS rebinding) sends that name as the host. Requests from pages of other origins are always refused. If there is a
    token, it is required: ``Authorization: Bearer TOKEN``.
    """

    def __init__(
        self, app: App, listening: Listening, *, open_paths: Collection[str] = (), in_browser: bool = False
    ) -> None:
        """Guard an application.

        Args:
            app: The application to guard.
            listening: The address, and the token if there is one.
            open_paths: Paths without a token, for health probes.
            in_browser: Whether people open the application in a browser, which sends no token by itself:
                ``?token=TOKEN`` then sets a cookie, which replaces the header.
        """
        self._app = app
        self._open_paths = frozenset(open_paths)
        self._in_browser = in_browser
        self._token = None if listening.token is None else listening.token.encode()
        self._names = _LOOPBACK_NAMES | {listening.host.lower()} if listening.is_loopback else None
        self._secure = "; Secure" if listening.scheme == "https" else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        answer = self._app
        if scope["type"] in ("http", "websocket"):
            try:
                self._check_names(scope)
                answer = self._checked_token(scope)
            except Refusal as refusal:
                answer = refusal if scope["type"] == "http" else _refused_socket
        await answer(scope, receive, send)

    def _check_names(self, scope: Scope) -> None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) > 1 or "@" in "".join(hosts):
            raise Refusal(400, "the request must have exactly one Host header, with a name and optionally a port")
        host, origin = (hosts or [None])[0], header(scope, b"origin")
        if self._names is not None and _name_of(f"//{host or ''}") not in self._names:
            raise Refusal(403, f"this server accepts requests to localhost and 127.0.0.1 only; got Host {host!r}")
        if origin is not None and _host_of(origin) != (host or "").lower():
            raise Refusal(403, f"requests from pages of other origins are not allowed; got Origin {origin!r}")

    def _checked_token(self, scope: Scope) -> App:
        if self._token is None or scope["path"] in self._open_paths:
            return self._app
        kind, _, word = (header(scope, b"authorization") or "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(word.strip()):
            return self._app
        if self._in_browser:
            if self._is_token(self._cookie(scope)):
                return self._app
            pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if scope.get("method") == "GET" and self._is_token(dict(pairs).get("token", "")):
                return self._remembering(scope, self._token, urlencode([pair for pair in pairs if pair[0] != "token"]))
        raise Refusal(
            401,
            "this server requires a token; send the header Authorization: Bearer TOKEN",
            headers=((b"www-authenticate", b"Bearer"),),
        )

    def _is_token(self, word: str) -> bool:
        return self._token is not None and hmac.compare_digest(word.encode("utf-8", "surrogateescape"), self._token)

    def _cookie_name(self, scope: Scope) -> str:
        """Return the cookie's name: cookies ignore ports, so each server on a machine needs its own name."""
        return f"onepass-{(scope.get('server') or ('', 0))[1]}"

    def _cookie(self, scope: Scope) -> str:
        try:
            found = SimpleCookie(header(scope, b"cookie") or "").get(self._cookie_name(scope))
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _remembering(self, scope: Scope, token: bytes, query: str) -> App:
        """Set the cookie and redirect to the address without the token, because addresses get stored and shared."""
        cookie = f"{self._cookie_name(scope)}={token.decode()}; Path=/; HttpOnly; SameSite=Strict{self._secure}"
        where = "/" + quote(scope["path"].lstrip("/")) + (f"?{query}" if query else "")
        headers = ((b"location", where.encode()), (b"set-cookie", cookie.encode()))
        return Refusal(303, "the token is now stored in a cookie", headers=headers)


def _host_of(origin: str) -> str | None:
    """Return an origin's host and port as written; None if it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def _refused_socket(_scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket before accepting it; the browser sees status 403."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})
