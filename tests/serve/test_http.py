"""The protocol over HTTP, by a client that knows nothing of it: requests, answers, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onepass.serve import Server
from onepass.serve.datatypes import array_from_bytes, bytes_from_array
from tests.serve.served import DATATYPES, Array, Client, heads_of, json_request, values

_X = np.array([[1, -2, 3, -4], [0.5, 0, -0.5, 9]], np.float32)
_REQUEST = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 4], "data": _X.tolist()}]}
_INFER = "/v2/models/heads/infer"


def outputs_of(answer: bytes, json_length: str | None) -> dict[str, Array]:
    """Return the outputs of an answer, in its order, from JSON or bytes."""
    length = len(answer) if json_length is None else int(json_length)
    described, rest, found = json.loads(answer[:length])["outputs"], answer[length:], {}
    for each in described:
        dtype = np.dtype(DATATYPES[each["datatype"]][1])
        if "data" in each:
            found[each["name"]] = np.array(each["data"], dtype).reshape(each["shape"])
        else:
            size = each["parameters"]["binary_data_size"]
            found[each["name"]] = array_from_bytes(rest[:size], dtype, tuple(each["shape"]), tensor=each["name"])
            rest = rest[size:]
    assert not rest
    return found


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("binary_in", [False, True], ids=["json", "bytes"])
@pytest.mark.parametrize("binary_out", [False, True], ids=["json", "bytes"])
def test_every_datatype_goes_through(client: Client, datatype: str, binary_in: bool, binary_out: bool) -> None:
    """Every datatype of the protocol goes in and comes out unchanged, as JSON and as bytes."""
    x = values(datatype)
    tensor: dict[str, Any] = {"name": "x", "datatype": datatype, "shape": [2, 3]}
    data = bytes(bytes_from_array(x)) if binary_in else b""
    if binary_in:
        tensor["parameters"] = {"binary_data_size": len(data)}
    else:
        tensor["data"] = (x.astype(np.float64) if x.dtype.kind not in "biuO" else x).tolist()
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary_out}}).encode()
    headers = {"Inference_Header_Content_Length": str(len(head))} if binary_in else {}
    status, body, answer = client.ask(f"/v2/models/echo-{datatype}/infer", head + data, **headers)
    assert status == 200, body
    length = answer.headers["Inference-Header-Content-Length"]
    assert (length is not None) == binary_out
    y = outputs_of(body, length)["y"]
    assert (y.dtype, y.tolist()) == (x.dtype, x.tolist())


def test_all_outputs_come_in_the_models_order(client: Client) -> None:
    """Who names no output gets all, in the model's order; who names some gets these, in the same order."""
    want = heads_of(_X)
    for names in ((), ("monkey", "zebra"), ("ant",)):
        body = json_request({"x": ("FP32", _X)}, names, id="a-7")
        answer = client.json(_INFER, body)
        assert (answer["model_name"], answer["model_version"], answer["id"]) == ("heads", "10", "a-7")
        found = outputs_of(json.dumps(answer).encode(), None)
        assert list(found) == [name for name in want if name in (names or want)]
        for name, array in found.items():
            np.testing.assert_array_equal(array, want[name])


def test_each_output_may_be_json_or_bytes(client: Client) -> None:
    """A client says of each output how it wants it, and of all others at once."""
    request = {
        **_REQUEST,
        "outputs": [{"name": "zebra", "parameters": {"binary_data": False}}, {"name": "ant"}],
        "parameters": {"binary_data_output": True},
    }
    status, body, answer = client.ask(_INFER, json.dumps(request).encode())
    assert status == 200
    length = answer.headers["Inference-Header-Content-Length"]
    assert ["data" in each for each in json.loads(body[: int(length)])["outputs"]] == [True, False]
    found = outputs_of(body, length)
    np.testing.assert_array_equal(found["zebra"], -_X)
    np.testing.assert_array_equal(found["ant"], _X.sum(1))


def test_flat_data_and_empty_batches(client: Client) -> None:
    """Data may be flat, as the protocol has it, or nested; no rows are rows too."""
    flat = {"inputs": [{**_REQUEST["inputs"][0], "data": _X.ravel().tolist()}]}
    assert client.json(_INFER, json.dumps(flat).encode()) == client.json(_INFER, json.dumps(_REQUEST).encode())
    none = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [0, 4], "data": []}]}
    assert client.json(_INFER, json.dumps(none).encode())["outputs"][0]["shape"] == [0, 4]


def test_metadata(client: Client) -> None:
    """A server says what it is; a model its versions, and its inputs and outputs in its order, -1 where dynamic."""
    assert client.json("/v2")["name"] == "onepass"
    for path in ("/v2/models/heads", "/v2/models/heads/versions/2"):
        found = client.json(path)
        assert (found["name"], found["versions"]) == ("heads", ["2", "10"])
        assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
        assert [(each["name"], each["shape"]) for each in found["outputs"]] == [
            ("zebra", [-1, 4]), ("ant", [-1]), ("monkey", [-1, 4]),
        ]  # fmt: skip
    ant = client.json("/v2/models/heads/config")["output"][1]
    assert ant == {"name": "ant", "data_type": "TYPE_FP32", "dims": [-1]}
    index = client.json("/v2/repository/index", b"")
    assert {"name": "heads", "version": "2", "state": "READY", "reason": ""} in index


def test_versions(client: Client) -> None:
    """The greatest version answers, by number, unless a client names another."""
    assert client.json(_INFER, json.dumps(_REQUEST).encode())["model_version"] == "10"
    assert client.json("/v2/models/heads/versions/2/infer", json.dumps(_REQUEST).encode())["model_version"] == "2"


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/v2/models/heads/ready"])
def test_health(client: Client, path: str) -> None:
    """A server whose models work is live and ready."""
    assert client.ask(path)[0] == 200


def test_statistics_and_metrics(client: Client) -> None:
    """Requests are counted, for Prometheus and in the protocol's own statistics, by model and by how they ended."""
    before = client.json("/v2/models/heads/versions/2/stats")["model_stats"][0]["inference_stats"]
    client.json("/v2/models/heads/versions/2/infer", json.dumps(_REQUEST).encode())
    client.json("/v2/models/heads/versions/2/infer", b"{}", status=400)
    client.json("/v2/models/nobody/infer", b"{}", status=404)
    after = client.json("/v2/models/heads/versions/2/stats")["model_stats"][0]["inference_stats"]
    for kind in ("success", "fail"):
        assert after[kind]["count"] == before[kind]["count"] + 1
    text = client.ask("/metrics")[1].decode()
    for words in (
        'onepass_requests_total{model="heads",outcome="ok",transport="http",version="2"}',
        'onepass_requests_total{model="",outcome="unknown",transport="http",version=""}',
        'onepass_stage_seconds_bucket{le="0.001",model="heads",stage="queue",version="2"}',
        'onepass_queue{model="heads",version="10"} 0.0',
    ):
        assert words in text
    assert "nobody" not in text, "names that clients make up would fill the memory"


def test_ids_and_traces_come_back(client: Client) -> None:
    """A request's id and its trace go back with the answer; what cannot be passed on is replaced or dropped."""
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    for body in (json.dumps(_REQUEST).encode(), b"{}"):
        _, _, answer = client.ask(_INFER, body, X_Request_Id="seven", Traceparent=trace)
        assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("seven", trace)
    _, _, answer = client.ask(_INFER, b"{}", X_Request_Id="with space", Traceparent="00-none-of-it")
    assert "with space" != answer.headers["x-request-id"] != ""
    assert answer.headers["traceparent"] is None


def _with(**changes: Any) -> bytes:
    tensor = {**_REQUEST["inputs"][0], **changes}
    return json.dumps({"inputs": [{key: value for key, value in tensor.items() if value is not ...}]}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the request is not valid JSON"),
        (b"\xff\xfe", "the request is not valid JSON"),
        (b"[]", "expected a JSON object with 'inputs'"),
        (b"[" * 100_000, "the request is not valid JSON: lists or objects are nested too deeply"),
        (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [NaN]}]}', "NaN is not a JSON number"),
        (b"{}", "'inputs' must be a list of objects"),
        (b'{"inputs": [3]}', "'inputs' must be a list of objects"),
        (b'{"inputs": [], "outputs": {}}', "'outputs' must be a list of objects"),
        (b'{"inputs": [{}]}', "an input has no 'name'"),
        (json_request({"x": ("FP32", _X)}, ["ant", "ant"]), "output 'ant' is given twice"),
        (json.dumps({"inputs": _REQUEST["inputs"] * 2}).encode(), "input 'x' is given twice"),
        (json_request({"x": ("FP32", _X)}, ["cow"]), "the model has no output 'cow'"),
        (json_request({"y": ("FP32", _X)}), "the model has no input 'y'"),
        (json_request({"x": ("FP32", _X)}, id=7), "'id' must be a string"),
        (json_request({"x": ("FP32", _X)}, parameters=[]), "'parameters' must be an object"),
        (json_request({"x": ("FP32", _X)}, parameters={"timeout": "soon"}), "'timeout' must be a whole number"),
        (json_request({"x": ("FP64", _X)}), "input 'x': got FP64, expected FP32 [N, 4]; dtypes are never converted"),
        (json_request({"x": ("FP32", _X)}, parameters={"binary_data_output": "yes"}), "must be true or false"),
        (b"[" + b"1" * 5000 + b"]", "the request is not valid JSON: a number has too many digits"),
        (_with(data=[1e39] * 8), "input 'x': a value is out of range for FP32"),
        (_with(data=[0] * 7 + [10**400]), "input 'x': a value is out of range for FP32"),
        (json.dumps(_REQUEST).encode().replace(b"9.0", b"1e999"), "input 'x': a value is out of range for FP32"),
        (json_request({"x": ("FP32", _X)}, parameters={"timeout": 10**400}), "'timeout' must be a whole number"),
        (json_request({"x": ("INT4", _X)}), "unknown datatype 'INT4'; expected one of BOOL"),
        (json_request({"x": ("FP32", _X[:, :3])}), "input 'x': expected float32 [N, 4], got float32 [2, 3]"),
        (_with(shape=[2, 5]), "shape [2, 5] needs 10 values, got 8"),
        (_with(shape=[-2, -4]), "the shape must be a list of"),
        (_with(shape=[2.0, 4]), "the shape must be a list of"),
        (_with(shape=[2**70, 4]), "is too large for any memory"),
        (_with(shape=[2**40, 2**40, 0], data=[]), "is too large for any memory"),
        (_with(shape="24"), "the shape must be a list of"),
        (_with(data=...), "needs a list 'data' or"),
        (_with(data=["1"] * 8), "FP32 needs float or int in JSON, got str"),
        (_with(data=[True] * 8), "FP32 needs float or int in JSON, got bool"),
        (_with(data=[[1, 2, 3, 4], 5]), "mixes lists and values"),
        (_with(parameters={"binary_data_size": 32}, data=...), "binary_data_size is 32, but only 0 bytes are left"),
        (_with(parameters={"binary_data_size": 0}), "has both 'data' and binary_data_size"),
        (_with(parameters={"shared_memory_region": "r"}), "'shared_memory_region' belongs to the shared memory"),
        (json_request({"x": ("FP32", _X)}, parameters={"sequence_id": 3}), "belongs to the sequences extension"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(client: Client, body: bytes, words: str) -> None:
    """A request that is wrong is answered with 400 and a sentence that says what, and the next is answered."""
    assert words in client.json(_INFER, body, status=400)["error"]
    assert client.ask(_INFER, json.dumps(_REQUEST).encode())[0] == 200


@pytest.mark.parametrize(("datatype", "value"), [("INT8", 128), ("INT8", -129), ("UINT8", -1), ("UINT64", 2**64)])
def test_whole_numbers_do_not_wrap_around(client: Client, datatype: str, value: int) -> None:
    """A whole number that its datatype cannot hold is refused."""
    tensor = {"name": "x", "datatype": datatype, "shape": [1, 3], "data": [0, value, 0]}
    answer = client.json(f"/v2/models/echo-{datatype}/infer", json.dumps({"inputs": [tensor]}).encode(), status=400)
    assert answer["error"] == f"input 'x': a value is out of range for {datatype}"


@pytest.mark.parametrize(
    ("head", "tail", "length", "words"),
    [
        (24, b"x" * 23, None, "binary_data_size is 24, but only 23 bytes are left"),
        (23, b"x" * 23, None, "FP32 of shape [2, 3] needs 24 bytes, got 23"),
        (24, b"x" * 25, None, "1 extra bytes follow the tensors"),
        (24, b"x" * 24, "99999", "Inference-Header-Content-Length: expected a number of bytes, at most"),
        (24, b"x" * 24, "-1", "got '-1'"),
        (24, b"x" * 24, "3", "the request is not valid JSON"),
        ("24", b"x" * 24, None, "binary_data_size is 24, but"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(client: Client, head: Any, tail: bytes, length: Any, words: str) -> None:
    """Bytes behind the JSON that are too few, too many, or wrongly counted are refused."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": head}}
    text = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference_Header_Content_Length": length or str(len(text))}
    status, body, _ = client.ask("/v2/models/echo-FP32/infer", text + tail, **headers)
    assert status == 400
    assert words in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x05\0\0\0hell", "ends before the 3 strings"),
        (b"\x01\0\0\0a" * 2, "ends before the 3 strings"),
        (b"\xff\xff\xff\xffaaaaaaaaaaaa", "ends before the 3 strings"),
        (b"\x01\0\0\0a" * 4, "5 extra bytes follow the 3 strings"),
        (b"\x01\0\0\0\xff" * 3, "is not valid UTF-8"),
    ],
)
def test_strings_that_are_none_are_refused(client: Client, data: bytes, words: str) -> None:
    """Strings that are cut off, too many, or no text are refused."""
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1, 3], "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [tensor]}).encode()
    status, body, _ = client.ask(
        "/v2/models/echo-BYTES/infer", text + data, Inference_Header_Content_Length=str(len(text))
    )
    assert status == 400
    assert words in json.loads(body)["error"]


def test_what_json_cannot_say_is_refused(client: Client) -> None:
    """An output that is not finite cannot be JSON, and is to be had as bytes."""
    tensor = {"name": "x", "datatype": "FP16", "shape": [1, 3], "parameters": {"binary_data_size": 6}}
    head, tail = json.dumps({"inputs": [tensor]}).encode(), np.array([1, np.inf, 2], np.float16).tobytes()
    path = "/v2/models/echo-FP16/infer"
    status, body, _ = client.ask(path, head + tail, Inference_Header_Content_Length=str(len(head)))
    assert (status, b"request the output as binary data" in body) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v2/models/heds", None, 404, "Did you mean 'heads'?"),
        ("/v2/models/heads/versions/3", None, 404, "the model 'heads' has no version '3'"),
        ("/v2/models/heads/versions/3/infer", b"{}", 404, "has no version '3'"),
        ("/", None, 404, "GET / is not part of this server"),
        ("/v2/models/heads/infer", None, 405, "GET /v2/models/heads/infer is not part of this server"),
        ("/v2/systemsharedmemory/region/a/register", b"{}", 400, "the system shared-memory extension"),
        ("/v2/cudasharedmemory/status", None, 400, "the CUDA shared-memory extension"),
        ("/v2/repository/models/heads/unload", b"{}", 400, "loading and unloading models"),
        ("/v2/models/heads/infer", b"x" * 3_000_000, 413, "accepts at most 2,097,152 bytes"),
    ],
)
def test_what_is_not_there_is_said(client: Client, path: str, body: bytes | None, status: int, words: str) -> None:
    """Models, versions, paths and extensions that are not there are refused by name."""
    assert words in client.json(path, body, status=status)["error"]


def test_encoded_bodies_are_refused(client: Client) -> None:
    """A compressed body is refused, rather than taken for JSON."""
    status, body, _ = client.ask(_INFER, b"\x1f\x8b", Content_Encoding="gzip")
    assert (status, b"unsupported content encoding 'gzip'" in body) == (415, True)


def test_foreign_names_are_refused(server: Server, client: Client) -> None:
    """A request that a page of another name sends here is refused."""
    assert client.ask("/v2", Host="evil.example")[0] == 403
    assert client.ask(_INFER, b"{}", Origin="http://evil.example")[0] == 403
