"""``python -m benchmarks.serve``: `onepass serve` under load, beside NVIDIA's Triton and a bare loop of calls.

One process serves, another has the clients, each of which sends its next request when it has its answer. Every answer
is compared to a direct call. Servers take turns. Triton runs what ``onepass export triton --backend python`` makes of
the same model; it is left out where it cannot be had.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import onepass
from benchmarks.report import Row, write_results
from onepass.export import to_triton
from onepass.gaze import PACKAGED_MODELS
from onepass.outputs import Array
from tests.triton.server import real_triton, why_not

_MODEL = Path(onepass.__file__).parent / "gaze" / "data" / PACKAGED_MODELS["small"]
_NAME = "eyes"
_CLIENTS = (1, 8, 32)
_OUTPUTS = {"small": ("landmarks", "radius"), "all": ("heatmaps", "landmarks", "radius")}
_SECONDS = 2.0
_ROUNDS = 1
_Ask = Callable[[], Awaitable[dict[str, bytes]]]


@dataclass(frozen=True)
class Load:
    """Clients of one kind, as their process is told.

    Attributes:
        transport: ``http`` or ``grpc``.
        address: Host and port.
        outputs: What they ask for.
        clients: How many there are.
        seconds: For how long.
    """

    transport: str
    address: str
    outputs: tuple[str, ...]
    clients: int
    seconds: float


def measure() -> list[Row]:
    """Return a row for each kind of client, with the rates and times of each server."""
    rows: list[Row] = []
    with ExitStack() as stack:
        servers = {"onepass": stack.enter_context(_onepass())}
        missing = why_not()
        if missing:
            print(f"without Triton: {missing}")
        else:
            servers["Triton"] = stack.enter_context(_triton())
        for outputs, names in _OUTPUTS.items():
            loop = _loop(names)
            for transport in ("http", "grpc"):
                for clients in _CLIENTS:
                    row: Row = {"transport": transport, "outputs": outputs, "clients": clients}
                    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in servers}
                    for _ in range(_ROUNDS):
                        for name, addresses in servers.items():
                            load = Load(transport, addresses[transport], names, clients, _SECONDS)
                            found[name].append(_under(load))
                    for name, figures in found.items():
                        rate, p50, p99 = (float(np.median(each)) for each in zip(*figures, strict=True))
                        row |= {
                            f"{name} 1/s": round(rate),
                            f"{name} p50 ms": round(p50, 2),
                            f"{name} p99 ms": round(p99, 2),
                        }
                    row["loop 1/s"] = round(loop)
                    rows.append(row)
                    print(row, flush=True)
    return rows


def _eye() -> Array:
    return np.random.default_rng(0).uniform(-1, 1, (1, 1, 36, 60)).astype(np.float32)


def _loop(outputs: tuple[str, ...]) -> float:
    """Return how many calls a second a bare loop makes."""
    eye, count = _eye(), 0
    with onepass.load(_MODEL) as session:
        session(eye, outputs=outputs)
        end = time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            session(eye, outputs=outputs)
            count += 1
    return count / _SECONDS


@contextmanager
def _onepass() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "onepass", "serve", f"{_NAME}={_MODEL}", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("serving on "):
                http, grpc = line.removeprefix("serving on http://").strip().split(", gRPC on ")
                break
        try:
            yield {"http": http, "grpc": grpc}
        finally:
            process.terminate()


@contextmanager
def _triton() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        to_triton(_MODEL, folder, backend="python", name=_NAME, max_batch=32)
        with real_triton(Path(folder)) as running:
            yield {"http": running.http, "grpc": running.grpc}


def _under(load: Load) -> tuple[float, float, float]:
    """Return answers a second, and the median and the 99th percentile of their times in milliseconds."""
    words = [load.transport, load.address, ",".join(load.outputs), str(load.clients), str(load.seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve", "clients", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    rate, p50, p99 = json.loads(done.stdout)
    return rate, p50, p99


async def _clients(load: Load) -> tuple[float, float, float]:
    """Be the clients."""
    with onepass.load(_MODEL) as session:
        expected = session(_eye(), outputs=load.outputs).as_dict()
    make = {"http": _http_client, "grpc": _grpc_client}[load.transport]
    asks = [await make(load) for _ in range(load.clients)]
    times: list[float] = []
    begin = time.perf_counter() + 0.5  # the first moments are not counted
    end = begin + load.seconds

    async def client(ask: _Ask) -> None:
        while (start := time.perf_counter()) < end:
            answer = await ask()
            took = time.perf_counter() - start
            for name, want in expected.items():
                np.testing.assert_allclose(np.frombuffer(answer[name], want.dtype), want.ravel(), rtol=1e-3, atol=1e-3)
            if start >= begin:
                times.append(took)

    await asyncio.gather(*map(client, asks))
    return len(times) / load.seconds, float(np.median(times)) * 1e3, float(np.quantile(times, 0.99)) * 1e3


async def _http_client(load: Load) -> _Ask:
    """Return a client that writes what it has written before: it takes as little of the machine as one can."""
    eye, host = _eye(), load.address
    size = {"binary_data_size": eye.nbytes}
    head = json.dumps({
        "inputs": [{"name": "eye", "datatype": "FP32", "shape": eye.shape, "parameters": size}],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in load.outputs],
    }).encode()  # fmt: skip
    request = (
        (
            f"POST /v2/models/{_NAME}/infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(head) + eye.nbytes}\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
        ).encode()
        + head
        + eye.tobytes()
    )
    reader, writer = await asyncio.open_connection(*host.split(":"), limit=2**20)

    async def ask() -> dict[str, bytes]:
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 200"), lines
        headers = dict(line.split(b": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers[b"content-length"]))
        at = int(headers[b"inference-header-content-length"])
        found = {}
        for each in json.loads(body[:at])["outputs"]:
            size = each["parameters"]["binary_data_size"]
            found[each["name"]] = body[at : at + size]
            at += size
        return found

    return ask


async def _grpc_client(load: Load) -> _Ask:
    grpc, messages = import_module("grpc"), import_module("tritonclient.grpc.service_pb2")
    eye = _eye()
    request = messages.ModelInferRequest(model_name=_NAME, raw_input_contents=[eye.tobytes()])
    request.inputs.add(name="eye", datatype="FP32", shape=eye.shape)
    for name in load.outputs:
        request.outputs.add(name=name)
    channel = grpc.aio.insecure_channel(load.address, [("grpc.use_local_subchannel_pool", 1)])
    call: Any = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=lambda data: data,
        response_deserializer=messages.ModelInferResponse.FromString,
    )
    data = request.SerializeToString()

    async def ask() -> dict[str, bytes]:
        answer = await call(data)
        return {each.name: raw for each, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)}

    return ask


if __name__ == "__main__":
    if sys.argv[1:2] == ["clients"]:
        _transport, _address, _names, _count, _duration = sys.argv[2:]
        _load = Load(_transport, _address, tuple(_names.split(",")), int(_count), float(_duration))
        print(json.dumps(asyncio.run(_clients(_load))))
    else:
        write_results("serve", measure())
