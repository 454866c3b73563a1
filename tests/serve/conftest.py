"""One server for the tests of this folder that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from onepass.serve import Limits, Server
from onepass.web import Listening
from tests.serve.served import DATATYPES, Client, echo, heads


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Serve a model of each datatype, one of three outputs in two versions, on HTTP and gRPC."""
    models: dict[str, Any] = {
        **{f"echo-{name}": echo(name) for name in DATATYPES},
        "heads": {"2": heads(), "10": heads()},
    }
    with Server(models, Listening(port=0), grpc_port=0, limits=Limits(max_body_mb=2.0)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Connect to that server."""
    client = Client(server.address)
    yield client
    client.close()
