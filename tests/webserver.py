"""A web server for tests of downloads: with ranges or without, and with faults on demand."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
        asked: The range that each request asked for, "" for all.
    """

    data: bytes
    url: str = ""
    etag: str = '"1"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    status: int = 200
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(data: bytes, name: str = "file.zip") -> Iterator[Site]:
    """Serve a file on this machine until the block ends."""
    site = Site(data)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            site.asked.append(wanted)
            if site.status != 200:
                self.send_error(site.status)
                return
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            start = int(found[1]) if found and site.ranges and self.headers.get("If-Range") == site.etag else 0
            if start and start >= len(site.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(site.data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = site.data[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.data) - 1}/{len(site.data)}")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", site.etag)
            self.end_headers()
            if site.break_after:
                self.wfile.write(body[: site.break_after.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}/{name}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
