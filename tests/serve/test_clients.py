"""Clients of Triton, NVIDIA's own package, HTTP and gRPC, blocking and asynchronous, against `onepass serve`."""

from __future__ import annotations

import asyncio
import queue
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from onepass.serve import Server
from tests.serve.served import DATATYPES, Array, heads_of, values

_X = np.arange(8, dtype=np.float32).reshape(2, 4) - 3
_KINDS = ["http", "grpc"]


def _address(server: Server, kind: str) -> str:
    return server.address.removeprefix("http://") if kind == "http" else str(server.grpc_address)


def _request(module: Any, x: Array, datatype: str, outputs: list[str]) -> dict[str, Any]:
    tensor = module.InferInput("x", list(x.shape), datatype)
    tensor.set_data_from_numpy(x)
    return {"inputs": [tensor], "outputs": [module.InferRequestedOutput(name) for name in outputs] or None}


def _names(answer: Any) -> list[str]:
    response = answer.get_response()
    found = response["outputs"] if isinstance(response, dict) else response.outputs
    return [each["name"] if isinstance(each, dict) else each.name for each in found]


@pytest.mark.parametrize("outputs", [[], ["monkey", "zebra"]], ids=["all", "some"])
@pytest.mark.parametrize("kind", _KINDS)
def test_all_outputs_by_name(server: Server, kind: str, outputs: list[str]) -> None:
    """A client gets every output that it asks for, or all of them, in the model's order and equal to a direct call."""
    module = import_module(f"tritonclient.{kind}")
    with module.InferenceServerClient(_address(server, kind)) as client:
        answer = client.infer("heads", **_request(module, _X, "FP32", outputs), request_id="7", model_version="2")
    want = {name: array for name, array in heads_of(_X).items() if name in (outputs or heads_of(_X))}
    assert _names(answer) == list(want)
    for name, array in want.items():
        np.testing.assert_array_equal(answer.as_numpy(name), array)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("kind", _KINDS)
def test_every_datatype(server: Server, kind: str, datatype: str) -> None:
    """Every datatype of the protocol goes through the client's own encoding and back."""
    module, x = import_module(f"tritonclient.{kind}"), values(datatype)
    sent = x.astype(np.float32) if datatype == "BF16" else x  # which the client makes BF16 of
    with module.InferenceServerClient(_address(server, kind)) as client:
        y = client.infer(f"echo-{datatype}", **_request(module, sent, datatype, [])).as_numpy("y")
    if datatype == "BYTES":
        y = np.array([each.decode() for each in y.flat], np.object_).reshape(y.shape)
    assert y.tolist() == sent.tolist()


@pytest.mark.parametrize("kind", _KINDS)
def test_asynchronous_clients(server: Server, kind: str) -> None:
    """Many requests of an asynchronous client at once each get their own answer."""
    module = import_module(f"tritonclient.{kind}.aio")

    async def ask() -> list[Any]:
        async with module.InferenceServerClient(_address(server, kind)) as client:
            assert await client.is_model_ready("heads")
            asked = (client.infer("heads", **_request(module, _X + n, "FP32", ["ant"])) for n in range(40))
            return [answer.as_numpy("ant") for answer in await asyncio.gather(*asked)]

    for n, ant in enumerate(asyncio.run(ask())):
        np.testing.assert_array_equal(ant, (_X + n).sum(1))


@pytest.mark.parametrize("kind", _KINDS)
def test_what_clients_ask_of_servers(server: Server, kind: str) -> None:
    """All that a client asks beside inference is answered, over HTTP and gRPC alike."""
    module = import_module(f"tritonclient.{kind}")
    more = {} if kind == "http" else {"as_json": True}
    with module.InferenceServerClient(_address(server, kind)) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("heads", "10")
        assert client.get_server_metadata(**more)["name"] == "onepass"
        metadata = client.get_model_metadata("heads", **more)
        config = client.get_model_config("heads", **more)
        [of_model] = client.get_inference_statistics("heads", "10", **more)["model_stats"]
        everything = client.get_inference_statistics(**more)["model_stats"]
        index = client.get_model_repository_index(**more)
    assert [each["name"] for each in metadata["outputs"]] == ["zebra", "ant", "monkey"]
    assert [list(map(int, each["shape"])) for each in metadata["inputs"]] == [[-1, 4]]
    assert config.get("config", config)["output"][1]["data_type"] == "TYPE_FP32"
    assert int(of_model["execution_count"]) > 0
    listed = index if isinstance(index, list) else index["models"]
    assert len(listed) == len(everything) == len(DATATYPES) + 2


@pytest.mark.parametrize("kind", _KINDS)
def test_errors_are_sentences(server: Server, kind: str) -> None:
    """What is wrong comes to the client as the library's sentence."""
    module = import_module(f"tritonclient.{kind}")
    status = {"http": "400", "grpc": "StatusCode.INVALID_ARGUMENT"}[kind]
    with module.InferenceServerClient(_address(server, kind)) as client:
        refused = partial(pytest.raises, InferenceServerException)
        with refused(match="has no output 'cow'") as caught:
            client.infer("heads", **_request(module, _X, "FP32", ["cow"]))
        assert caught.value.status() == status
        with refused(match=r"expected float32 \[N, 4\]"):
            client.infer("heads", **_request(module, _X[:, :2], "FP32", []))
        with refused(match="Did you mean 'heads'"):
            client.infer("hads", **_request(module, _X, "FP32", []))
        with refused(match="shared.memory|SharedMemory"):
            client.register_system_shared_memory("region", "/key", 64)
        tensor = module.InferInput("x", [2, 4], "FP32")
        tensor.set_shared_memory("region", 32)
        with refused(match="'shared_memory_(region|byte_size)' belongs to the shared memory extension"):
            client.infer("heads", [tensor])
        with refused(match="loading and unloading|does not support the call RepositoryModelUnload"):
            client.unload_model("heads")


def test_streams(server: Server) -> None:
    """Requests of a stream are answered in their order; one that is wrong does not end it."""
    module = import_module("tritonclient.grpc")
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with module.InferenceServerClient(str(server.grpc_address)) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for outputs in (["ant"], ["cow"], ["zebra"]):
            client.async_stream_infer("heads", **_request(module, _X, "FP32", outputs))
        found = [answers.get(timeout=30) for _ in range(3)]
        client.stop_stream()
    np.testing.assert_array_equal(found[0][0].as_numpy("ant"), _X.sum(1))
    assert "has no output 'cow'" in str(found[1][1])
    np.testing.assert_array_equal(found[2][0].as_numpy("zebra"), -_X)
