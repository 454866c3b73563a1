"""The protocol over gRPC, by its messages: those of the public protocol are ours, and what is wrong is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from onepass.serve import Server
from onepass.serve._messages import _MESSAGES, HEALTH_SERVICE, SERVICE, message
from onepass.web import Listening
from tests.serve.served import DATATYPES, heads, values

_X = np.arange(8, dtype=np.float32).reshape(2, 4)
_TLS = Path(__file__).parent.parent / "web"
# Ours by another name, or shared by several of theirs.
_THEIRS = {
    "ModelRequest": "ModelReadyRequest", "TensorMetadata": "ModelMetadataResponse.TensorMetadata",
    "InferTensor": "ModelInferRequest.InferInputTensor",
    "InferRequestedOutput": "ModelInferRequest.InferRequestedOutputTensor",
    "ModelIndex": "RepositoryIndexResponse.ModelIndex", "ModelTensorConfig": "ModelInput",
    "ModelOutputConfig": "ModelOutput",
}  # fmt: skip


def _theirs(name: str) -> Any:
    from tritonclient.grpc import model_config_pb2

    outer, _, inner = _THEIRS.get(name, name).partition(".")
    found = getattr(service_pb2, outer, None) or getattr(model_config_pb2, outer)
    return (getattr(found, inner) if inner else found).DESCRIPTOR


@pytest.mark.parametrize("name", [each for each in _MESSAGES if each != "Empty" and not each.startswith("Health")])
def test_messages_are_those_of_the_protocol(name: str) -> None:
    """Every field has the number, the type and the place in a list that the protocol's own declaration gives it."""
    numbers = {each.number: each for each in _theirs(name).fields}
    for field in message(name).DESCRIPTOR.fields:
        other = numbers[field.number]
        enum = {other.TYPE_ENUM: other.TYPE_INT32}  # the same on the wire
        assert (field.name, field.type) == (other.name, enum.get(other.type, other.type))
        assert field.is_repeated == other.is_repeated
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            assert other.message_type.GetOptions().map_entry


@pytest.fixture(scope="module")
def call(server: Server) -> Iterator[Any]:
    """Return a function that calls the server with raw bytes."""
    with grpc.insecure_channel(str(server.grpc_address)) as channel:
        yield lambda method, data: channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=30)


def _infer(call: Any, request: Any) -> Any:
    return service_pb2.ModelInferResponse.FromString(call("ModelInfer", request.SerializeToString()))


def _request(datatype: str, shape: list[int], **contents: Any) -> Any:
    request = service_pb2.ModelInferRequest(model_name=f"echo-{datatype}")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=shape)
    for name, given in contents.items():
        getattr(tensor.contents, name).extend(given)
    return request


@pytest.mark.parametrize("datatype", [each for each in DATATYPES if each not in ("FP16", "BF16")])
def test_contents(call: Any, datatype: str) -> None:
    """Values may come in the fields of their type instead of raw bytes."""
    x = values(datatype)
    prefix = {"BOOL": "bool", "INT64": "int64", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes"}
    field = prefix.get(datatype, "uint" if datatype.startswith("U") else "int") + "_contents"
    given = [each.encode() for each in x.flat] if datatype == "BYTES" else x.ravel().tolist()
    answer = _infer(call, _request(datatype, [2, 3], **{field: given}))
    assert list(answer.outputs[0].shape) == [2, 3]
    if datatype != "BYTES":
        assert np.frombuffer(answer.raw_output_contents[0], x.dtype).tolist() == x.ravel().tolist()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (_request("FP32", [2, 3], fp32_contents=[1] * 5), "shape [2, 3] needs 6 values, fp32_contents has 5"),
        (_request("FP32", [2, 3], int_contents=[1] * 6), "fp32_contents has 0"),
        (_request("INT8", [1, 3], int_contents=[1, 2, 300]), "a value is out of range for INT8"),
        (_request("UINT16", [1, 3], uint_contents=[1, 2, 70000]), "a value is out of range for UINT16"),
        (_request("FP16", [1, 3]), "FP16 must be sent in raw_input_contents"),
        (_request("FP32", [-1, 3]), "the shape must be a list of"),
        (_request("FP32", [2**62, 2**62, 0, 3]), "is too large for any memory"),
    ],
    ids=str,
)
def test_contents_that_do_not_fit_are_refused(call: Any, request_: Any, words: str) -> None:
    """Values that are too few, of another type, or out of range are refused."""
    with pytest.raises(grpc.RpcError) as caught:
        _infer(call, request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in caught.value.details()


def test_raw_contents_have_to_fit(call: Any) -> None:
    """Raw bytes are for every input or for none, and not beside contents."""
    request = _request("FP32", [1, 3], fp32_contents=[1, 2, 3])
    request.raw_input_contents.append(bytes(12))
    with pytest.raises(grpc.RpcError, match="both contents and raw_input_contents"):
        _infer(call, request)
    request.raw_input_contents.append(bytes(12))
    with pytest.raises(grpc.RpcError, match=r"one entry per input \(1\), or none; got 2"):
        _infer(call, request)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata"])
def test_bytes_that_are_no_message_are_refused(call: Any, method: str) -> None:
    """Bytes that are no message are the client's error, not the server's."""
    with pytest.raises(grpc.RpcError) as caught:
        call(method, b"\xff" * 40)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "the request is not a valid message for this call"


def test_large_messages_are_refused(call: Any) -> None:
    """A message that is larger than a request may be is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", bytes(3_000_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_ids_come_back(server: Server) -> None:
    """A call's id goes back with the answer, and with an error."""
    with grpc.insecure_channel(str(server.grpc_address)) as channel:
        work = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            work(b"", metadata=[("x-request-id", "seven")], timeout=30)
        assert ("x-request-id", "seven") in [tuple(each) for each in caught.value.trailing_metadata()]


def test_kubernetes_asks_for_health(server: Server) -> None:
    """GRPC's own protocol of health is answered."""
    with grpc.insecure_channel(str(server.grpc_address)) as channel:
        check = channel.unary_unary(f"/{HEALTH_SERVICE}/Check")
        serving = message("HealthCheckResponse")(status=1).SerializeToString()
        assert check(b"", timeout=30) == serving
        with pytest.raises(grpc.RpcError) as caught:
            check(message("HealthCheckRequest")(service="other").SerializeToString(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_token_and_tls() -> None:
    """With a token only who knows it is answered, but for health; with a certificate gRPC speaks TLS too."""
    listening = Listening(
        "localhost", 0, "a-token-of-ours", tls_cert=_TLS / "localhost.pem", tls_key=_TLS / "localhost.key"
    )
    trusted = grpc.ssl_channel_credentials((_TLS / "localhost.pem").read_bytes())
    with heads() as session, Server({"heads": session}, listening, grpc_port=0) as server:
        assert server.address.startswith("https://")
        with grpc.secure_channel(str(server.grpc_address), trusted) as channel:
            metadata = channel.unary_unary(f"/{SERVICE}/ServerMetadata")
            for word in (None, "Bearer another", "a-token-of-ours"):
                with pytest.raises(grpc.RpcError) as caught:
                    metadata(b"", metadata=[("authorization", word)] if word else (), timeout=30)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert b"onepass" in metadata(b"", metadata=[("authorization", "Bearer a-token-of-ours")], timeout=30)
            assert channel.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=30) == b"\x08\x01"
