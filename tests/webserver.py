"""A web server for tests of downloads: with ranges or without, and with faults on demand."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """One file, and how it is served.

    Attributes:
        data: What the file holds.
        url: Where it is.
        etag: Its version.
        ranges: Whether parts of it can be asked for.
        break_after: For each answer to come, after how many bytes the connection breaks; whole ones afterwards.
        status: Answer this instead.
        says: Headers that take the place of the true ones; None leaves one out.
        waits: Seconds before each hundred bytes.
        asked: The range that each request asked for, "" for all.
    """

    data: bytes
    url: str = ""
    etag: str = '"1"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    status: int = 200
    says: dict[str, str | None] = field(default_factory=dict)
    waits: float = 0.0
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """Answers for the site that its class is made for."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range", "")
        site.asked.append(wanted)
        if site.status != 200:
            self.send_error(site.status)
            return
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = int(found[1]) if found and site.ranges and self.headers.get("If-Range") == site.etag else 0
        if start and start >= len(site.data):
            self._answer(416, {"Content-Range": f"bytes */{len(site.data)}", "Content-Length": "0"})
            return
        body = site.data[start:]
        headers = {"Content-Length": str(len(body)), "ETag": site.etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(site.data) - 1}/{len(site.data)}"
        self._answer(206 if start else 200, {**headers, **site.says})
        if site.break_after:
            self.wfile.write(body[: site.break_after.pop(0)])
            self.close_connection = True
        else:
            self._send(body)
            self.close_connection = None in site.says.values()  # where nothing else says that it is the end

    def _answer(self, status: int, headers: Mapping[str, str | None]) -> None:
        self.send_response(status)
        for header, value in headers.items():
            if value is not None:
                self.send_header(header, value)
        self.end_headers()

    def _send(self, body: bytes) -> None:
        size = 100 if self.site.waits else max(1, len(body))
        with suppress(ConnectionError):  # of who has waited long enough
            for begin in range(0, len(body), size):
                time.sleep(self.site.waits)
                self.wfile.write(body[begin : begin + size])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


class _Server(ThreadingHTTPServer):
    """A server that says nothing of clients which are gone."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serve(data: bytes, name: str = "file.zip") -> Iterator[Site]:
    """Serve a file on this machine until the block ends."""
    site = Site(data)
    server = _Server(("127.0.0.1", 0), type("_SiteHandler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/{name}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def drip(beginning: bytes) -> Iterator[str]:
    """Answer whoever connects with this, and go on a byte at a time, for ever; give the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):  # who connected is gone, or the block has ended
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    connection.recv(1 << 16)
                    connection.sendall(beginning)
                    while True:
                        connection.sendall(b"a")
                        time.sleep(0.01)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/file.zip"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
