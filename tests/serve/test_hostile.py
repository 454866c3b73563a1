"""Requests that nobody means well: refused, each with a sentence, and the server goes on."""

from __future__ import annotations

import logging

import pytest

from tests.serve.hostile import attack, hostile_server


def test_hostile_requests_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Of hundreds of broken requests, over both transports and as raw bytes, none makes the server fail."""
    with caplog.at_level(logging.ERROR), hostile_server() as server:
        found = attack(server, range(150))
    assert caplog.records == []
    assert found["http 400"] > 50
    assert found["http 200"] > 5, "some are harmless, or nothing was tried"
    assert found["grpc StatusCode.INVALID_ARGUMENT"] > 30
