"""Models for tests of the server, and requests to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import ml_dtypes
import numpy as np

import onepass
from onepass import Session, Signature, TensorSpec
from onepass.runtime.fake import FakeBackend
from tests.zoo import model

Array = np.ndarray[Any, Any]

# The protocol's datatypes, ONNX's names of them, NumPy's.
DATATYPES: Mapping[str, tuple[str, Any]] = {
    "BOOL": ("bool", np.bool_), "UINT8": ("uint8", np.uint8), "UINT16": ("uint16", np.uint16),
    "UINT32": ("uint32", np.uint32), "UINT64": ("uint64", np.uint64), "INT8": ("int8", np.int8),
    "INT16": ("int16", np.int16), "INT32": ("int32", np.int32), "INT64": ("int64", np.int64),
    "FP16": ("float16", np.float16), "FP32": ("float", np.float32), "FP64": ("double", np.float64),
    "BF16": ("bfloat16", ml_dtypes.bfloat16), "BYTES": ("string", np.object_),
}  # fmt: skip


def echo(datatype: str) -> Session:
    """Return a model whose output `y` is its input `x`, of rows of three."""
    kind = DATATYPES[datatype][0]
    return onepass.load(model(f"({kind}[N, 3] x) => ({kind}[N, 3] y) {{ y = Identity (x) }}"))


def values(datatype: str, rows: int = 2) -> Array:
    """Return rows for `echo`."""
    numbers = np.arange(3 * rows).reshape(rows, 3)
    if datatype == "BYTES":
        return np.array([[f"é{n}" * n for n in row] for row in numbers], np.object_)
    return (numbers % 2 if datatype == "BOOL" else numbers).astype(DATATYPES[datatype][1])


def heads() -> Session:
    """Return a model of three outputs, in an order that is neither alphabetical nor that of computation."""
    return onepass.load(
        model(
            "(float[N, 4] x) => (float[N, 4] zebra, float[N] ant, float[N, 4] monkey) <int64[1] axes = {1}> {"
            " ant = ReduceSum <keepdims = 0> (x, axes) \n monkey = Relu (x) \n zebra = Neg (x) }"
        )
    )


def heads_of(x: Array) -> dict[str, Array]:
    """Return what `heads` computes."""
    return {"zebra": -x, "ant": x.sum(1), "monkey": np.maximum(x, 0)}


class Gated(FakeBackend):
    """A model that computes ``y = 2 x`` of rows of two, when it may.

    Attributes:
        gate: Set while passes may go on.
        begun: Released once for each pass that has begun.
        rows: Rows of each pass.
    """

    def __init__(self, *, concurrency: int = 1, poison: float | None = None) -> None:
        """Make a model that refuses to compute rows with the value `poison`."""
        float32 = np.dtype("float32")
        self.gate, self.begun = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.rows: list[int] = []
        self.concurrency = concurrency
        self._poison = poison
        signature = Signature((TensorSpec("x", float32, ("N", 2)),), (TensorSpec("y", float32, ("N", 2)),))
        super().__init__(signature, self._double)

    def hold(self) -> None:
        """Let no pass go on from here, and forget those that there were."""
        self.gate.clear()
        self.begun = threading.Semaphore(0)
        self.rows.clear()

    def _double(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        self.rows.append(len(feeds["x"]))
        self.begun.release()
        assert self.gate.wait(30)
        if self._poison is not None and (feeds["x"] == self._poison).any():
            raise ValueError("poison")
        return {"y": 2 * feeds["x"]}


def json_request(inputs: Mapping[str, tuple[str, Array]], outputs: Sequence[str] = (), **more: Any) -> bytes:
    """Return a request in JSON alone; inputs are datatype and array, by name."""
    tensors = [
        {
            "name": name,
            "datatype": kind,
            "shape": list(array.shape),
            "data": array.tolist() if array.ndim else [array.item()],
        }
        for name, (kind, array) in inputs.items()
    ]
    data: dict[str, Any] = {"inputs": tensors, **more}
    if outputs:
        data["outputs"] = [{"name": name} for name in outputs]
    return json.dumps(data).encode()


class Client:
    """An HTTP client that knows nothing of the protocol."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address.removeprefix("http://"), timeout=30)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, HTTPResponse]:
        """Return status and body of an answer, and the answer."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET" if body is None else "POST", path, body, names)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer

    def json(self, path: str, body: bytes | None = None, *, status: int = 200) -> Any:
        """Return what an answer says as JSON; it has this status."""
        found, text, _ = self.ask(path, body)
        assert found == status, text
        return json.loads(text)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
