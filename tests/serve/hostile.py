"""Requests that nobody means well, by seeds; ``python -m tests.serve.hostile 2000`` sends so many of each kind.

A hostile request is refused (4xx over HTTP, a client's code over gRPC; 504 where it gave itself no time), or answered
where it is harmless after all. The server never fails, and never writes a traceback.
"""

from __future__ import annotations

import json
import logging
import random
import socket
import sys
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from onepass.serve import Limits, Server
from onepass.serve._messages import SERVICE
from onepass.web import Listening
from tests.serve.served import DATATYPES, Client, echo, heads

MODELS = ("heads", "echo-BYTES", "echo-INT8", "echo-BOOL", "echo-FP16")
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 1.5, 1e308, "", "x", "\ud800", "é\x00", "9" * 5000, [], {},
    [[]], [None], [[1], 2], {"a": {}}, [2**62, 2**62], [0, 2**62], "INT4", "FP32", "BYTES", ["x"] * 3, [1e400],
)  # fmt: skip
_CLIENTS_CODES = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip


def request(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """Return a model's name, and a request that is right for it."""
    model = rng.choice(MODELS)
    kind, _, datatype = model.partition("-")
    special: dict[str, list[Any]] = {"heads": [0.5] * 8, "echo-BYTES": ["a", "b", ""], "echo-BOOL": [True] * 3}
    values = special.get(model, [1, 2, 3])
    shape, output = ([2, 4], "ant") if kind == "heads" else ([1, 3], "y")
    tensor = {"name": "x", "datatype": datatype or "FP32", "shape": shape, "data": values}
    outputs = [{"name": output, "parameters": {"binary_data": True}}]
    return model, {"id": "7", "inputs": [tensor], "outputs": outputs, "parameters": {"timeout": 10_000_000}}


def packed(tensor: dict[str, Any]) -> bytes:
    """Return the values of a tensor of `request` as bytes."""
    if tensor["datatype"] == "BYTES":
        return b"".join(len(each).to_bytes(4, "little") + each.encode() for each in tensor["data"])
    return np.array(tensor["data"], DATATYPES[tensor["datatype"]][1]).tobytes()


def broken_tree(rng: random.Random, tree: Any) -> Any:
    """Return JSON with an odd value somewhere in it, or something left out, or twice."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(tree)
    node, key = rng.choice(places)
    how = rng.randrange(4)
    if how == 0:
        del node[key]
    elif how == 1 and isinstance(node, list):
        node.append(node[key])
    else:
        node[key] = rng.choice(_ODD)
    return tree


def broken_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with some flipped, left out, put in, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(changed) + 1)
        how = rng.randrange(4)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del changed[at : at + rng.randrange(1, 9)]
        elif how == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            changed = changed[: max(1, at)]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def http_body(seed: int) -> tuple[str, bytes, dict[str, str]]:
    """Return path, body and headers of a hostile request."""
    rng = random.Random(seed)
    model, tree = request(rng)
    headers: dict[str, str] = {}
    tail = b""
    if rng.random() < 0.5:
        tensor = tree["inputs"][0]
        tail = packed(tensor)
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(tail)}
    for _ in range(rng.randrange(3)):
        tree = broken_tree(rng, tree) or {"inputs": []}
    head = json.dumps(tree).encode()
    if rng.random() < 0.3:
        head = broken_bytes(rng, head)
    if tail:
        tail = broken_bytes(rng, tail) if rng.random() < 0.4 else tail
        lengths = [len(head)] * 6 + [0, len(head) + 1, -1, "x", "1" * 30, len(head) + len(tail) + 1]
        headers["Inference_Header_Content_Length"] = str(rng.choice(lengths))
    if rng.random() < 0.1:
        headers["Content_Type"] = rng.choice(["text/plain", "multipart/form-data; boundary=x", "\t"])
    odd = ["heads/versions/2", "heads/versions/-1", "..", "%2e%2e", "%00", "%c3%28", "a" * 3000]
    name = model if rng.random() < 0.8 else rng.choice(odd)
    return f"/v2/models/{name}/infer", head + tail, headers


def raw_http(seed: int) -> bytes:
    """Return bytes for a connection that are HTTP at best in part."""
    rng = random.Random(seed)
    body = json.dumps(request(rng)[1]).encode()
    length = rng.choice([len(body), len(body), 0, len(body) - 5, -1, 10**30, "x", f"{len(body)}, 3"])
    lines = [b"POST /v2/models/heads/infer HTTP/1.1", b"Host: localhost", f"Content-Length: {length}".encode()]
    if rng.random() < 0.3:
        lines.append(b"Transfer-Encoding: chunked")
    if rng.random() < 0.2:
        lines.append(b"X: " + rng.randbytes(20))
    data = b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body
    return broken_bytes(rng, data) if rng.random() < 0.7 else data


def grpc_body(seed: int) -> bytes:
    """Return bytes that are a request at best in part."""
    rng = random.Random(seed)
    model, tree = request(rng)
    tensor = tree["inputs"][0]
    message = service_pb2.ModelInferRequest(model_name=rng.choice([model] * 4 + ["", "nobody"]), id="7")
    shape = rng.choice([tensor["shape"]] * 4 + [[-1, 3], [2**62, 2**62], []])
    kind = rng.choice([tensor["datatype"]] * 4 + ["", "INT4"])
    sent = message.inputs.add(name="x", datatype=kind, shape=shape)
    if rng.random() < 0.3:
        sent.contents.fp32_contents.extend([1.0] * rng.choice([0, 3, 8]))
    else:
        data = broken_bytes(rng, packed(tensor)) if rng.random() < 0.3 else packed(tensor)
        message.raw_input_contents.extend([data] * rng.choice([1, 1, 2]))
    if rng.random() < 0.3:
        message.parameters[rng.choice(["timeout", "sequence_id", "odd"])].int64_param = rng.choice([-1, 1, 2**62])
    whole: bytes = message.SerializeToString()
    return broken_bytes(rng, whole) if rng.random() < 0.5 else whole


def send_http(client: Client, seed: int) -> int:
    """Send a hostile body; return the status of the answer, whose error is a sentence."""
    path, body, headers = http_body(seed)
    status, text, _ = client.ask(path, body, **headers)
    if status != 200:
        sentence = json.loads(text)["error"]
        assert sentence, seed
        assert "Traceback" not in sentence, seed
    return status


def send_raw(port: int, seed: int) -> bytes:
    """Send hostile bytes, and nothing more; return the status of the first answer, nothing if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(raw_http(seed))
        connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(65536)[9:12]
        except ConnectionResetError:
            return b""


def send_grpc(channel: Any, seed: int) -> Any:
    """Send a hostile message; return the code of the answer."""
    try:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(grpc_body(seed), timeout=30)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def attack(server: Server, seeds: range) -> dict[str, int]:
    """Send one request of each kind for each seed; return how often each answer came.

    Raises:
        AssertionError: The server failed at one; the message has the seed.
    """
    found: dict[str, int] = {}
    port = int(server.address.rpartition(":")[2])
    with grpc.insecure_channel(str(server.grpc_address)) as channel:
        for seed in seeds:
            client = Client(server.address)
            answers = {
                "http": send_http(client, seed), "raw": send_raw(port, seed), "grpc": send_grpc(channel, seed)
            }  # fmt: skip
            client.close()
            assert answers["http"] in (200, 504) or 400 <= int(answers["http"]) < 500, (seed, answers)
            assert answers["raw"] in (b"200", b"") or answers["raw"][:1] == b"4", (seed, answers)
            assert answers["grpc"] in _CLIENTS_CODES, (seed, answers)
            for kind, answer in answers.items():
                found[f"{kind} {answer}"] = found.get(f"{kind} {answer}", 0) + 1
    return found


def hostile_server() -> Server:
    """Return a server of the models that are attacked."""
    models: dict[str, Any] = {name: echo(name.removeprefix("echo-")) for name in MODELS[1:]}
    return Server({**models, "heads": heads()}, Listening(port=0), grpc_port=0, limits=Limits(max_body_mb=1.0))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    with hostile_server() as _server:
        for _answer, _count in sorted(attack(_server, range(int(sys.argv[1]))).items()):
            print(f"{_count:6} {_answer}")  # noqa: T201 - this is a program
