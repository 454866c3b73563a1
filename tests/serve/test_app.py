"""The application in others' hands, models as they are given, and the values that say how much is taken on."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import onepass
from onepass import InputError, MissingExtraError, ModelNotFoundError, UnsupportedModelError
from onepass._packages import install_command
from onepass.serve import Limits, Models, Server, app
from onepass.web import Listening, WebServer
from tests.serve.served import Client, heads, heads_of, json_request
from tests.zoo import model

_X = np.ones((2, 4), np.float32)
_BODY = json_request({"x": ("FP32", _X)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a model file."""
    text = "(float[N, 4] x) => (float[N, 4] y) { y = Neg (x) }"
    model(text).save(tmp_path / "neg.onnx")
    return tmp_path / "neg.onnx"


@pytest.mark.usefixtures("no_thread_is_left")
def test_it_can_be_mounted(file: Path) -> None:
    """The application works under a path of another one, and closes the models that it has opened at its end."""
    own = app({"neg": file})
    with WebServer(own, Listening(port=0)) as server:
        client = Client(server.address)
        assert client.json("/v2/models/neg/infer", _BODY)["outputs"][0]["data"] == [-1.0] * 8
        client.close()
    with (
        Models({"neg": file}) as models,
        WebServer(Starlette(routes=[Mount("/ai", app(models))]), Listening(port=0)) as of,
    ):
        client = Client(of.address)
        assert client.json("/ai/v2/models/neg/infer", _BODY)["outputs"][0]["data"] == [-1.0] * 8
        assert client.json("/ai/v2/models/nag", status=404)["error"].startswith("the server has no model 'nag'")
        client.close()


@pytest.mark.usefixtures("no_thread_is_left")
def test_sessions_that_are_given_stay_open() -> None:
    """A session that is given to a server is as it was when the server has ended; models may be served again."""
    with heads() as session:
        with Models({"heads": session}) as models:
            for _ in range(2):
                with Server(models, Listening(port=0), grpc_port=0) as server:
                    client = Client(server.address)
                    assert client.ask("/v2/models/heads/infer", _BODY)[0] == 200
                    client.close()
        np.testing.assert_array_equal(session(_X).ant, heads_of(_X)["ant"])


def test_limits_of_open_models_are_theirs() -> None:
    """Limits beside models that are open would not count, and are refused."""
    with heads() as session, Models({"heads": session}) as models:
        for make in (app, Server):
            with pytest.raises(InputError, match="limits= cannot be combined with open models"):
                make(models, limits=Limits())


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Without what the extra brings, the error has the command that installs it."""
    for module in ("uvicorn", "prometheus_client"):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=re.escape(install_command("serve"))):
            Server({"neg": file}, Listening(port=0))


@pytest.mark.parametrize(
    ("models", "error", "words"),
    [
        ({}, InputError, "no model given"),
        ({"a/b": "x.onnx"}, InputError, "invalid model name 'a/b': use letters"),
        ({"": "x.onnx"}, InputError, "invalid model name '': use letters"),
        ({"a": {"0": "x.onnx"}}, InputError, "model 'a': a version must be a whole number ≥ 1, as text; got '0'"),
        ({"a": {1: "x.onnx"}}, InputError, "model 'a': a version must be a whole number"),
        ({"a": "missing.onnx"}, ModelNotFoundError, "no model file at missing.onnx"),
    ],
    ids=str,
)
def test_models_that_are_none_are_refused(models: Any, error: type[Exception], words: str) -> None:
    """Names, versions and files that are none are refused when the server is made."""
    with pytest.raises(error, match=words):
        Models(models)


def test_dtypes_that_the_protocol_has_not_are_refused() -> None:
    """A model with a tensor of a dtype that the protocol has no name for is refused by that tensor's name."""
    graph = model("(float[N] x) => (float8e4m3fn[N] small) { small = Cast <to = 17> (x) }", opset=19)
    with (
        onepass.load(graph) as session,
        pytest.raises(UnsupportedModelError, match="'small': the protocol does not support float8_e4m3fn"),
    ):
        Models({"small": session})


def test_what_is_not_joined_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A model whose rows depend on each other is served request by request, and the log says so."""
    text = "(float[N, 4] x) => (float[N, 4] y) { y = Softmax <axis = 0> (x) }"
    with caplog.at_level(logging.INFO), onepass.load(model(text)) as session, Models({"softmax": session}) as models:
        assert models.find("softmax").max_batch == 1
    assert "softmax: the model does not compute rows independently" in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        {"max_batch": 0}, {"max_queue": 1.5}, {"max_delay_ms": -1}, {"max_body_mb": 0}, {"timeout": 0},
        {"max_connections": True}, {"grace_seconds": float("inf")}, {"body_seconds": "1"},
    ],
    ids=str,
)  # fmt: skip
def test_limits_that_are_none_are_refused(given: dict[str, Any]) -> None:
    """A limit of the wrong type, or out of range, is refused by its name."""
    with pytest.raises(InputError, match=f"^{next(iter(given))} must be a "):
        Limits(**given)


def test_passes_may_be_limited_in_time() -> None:
    """A pass that takes longer than it may is ended, and its request told."""
    loop = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> endless (float[N] x, bool go) => (float[N] y)'
        " { y = Loop (, go, x) <body = b (int64 i, bool c, float[N] z) => (bool again, float[N] w)"
        " { again = Identity (go) \n w = Identity (z) }> }"
    )
    ended = json_request({"x": ("FP32", np.ones(1, np.float32)), "go": ("BOOL", np.array(True))})
    with onepass.load(loop.SerializeToString()) as session:
        models = Models({"loop": session}, limits=Limits(timeout=0.1))
        with models, Server(models, Listening(port=0), grpc_port=None) as server:
            client = Client(server.address)
            assert "0.1" in client.json("/v2/models/loop/infer", ended, status=504)["error"]
            client.close()
