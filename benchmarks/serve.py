"""``python -m benchmarks.serve``: `onepass serve` under load, compared with NVIDIA's Triton and a plain loop of calls.

``… soak 50000`` sends this many requests from 32 clients, and prints the server's memory meanwhile. ``… model FILE ROWS
[OUTPUT …]`` serves another model with one input to 64 clients, which send ROWS rows per request and ask for these
outputs, compared with a loop of calls with as many rows.

One process serves. Another runs the clients, each of which sends its next request after its answer. Every answer is
compared with a direct call. Servers take turns. Triton runs the repository that ``onepass export triton --backend
python`` writes for the same model; without Triton, it is left out.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import onepass
from benchmarks.report import Row, write_results
from onepass import Session
from onepass.gaze import PACKAGED_MODELS
from onepass.outputs import Array
from onepass.sampling import random_inputs

_MODEL = Path(onepass.__file__).parent / "gaze" / "data" / PACKAGED_MODELS["small"]
_NAME = "eyes"
_CLIENTS = (1, 8, 32)
_OUTPUTS = {"small": ("landmarks", "radius"), "all": ("heatmaps", "landmarks", "radius")}
_TOLERANCE = 1e-2  # of landmarks in pixels, say: batches round differently
_SECONDS = 3.0
_ROUNDS = 3
_Ask = Callable[[], Awaitable[dict[str, bytes]]]


@dataclass(frozen=True)
class Load:
    """Clients of one kind, as input of their process.

    Attributes:
        transport: ``http`` or ``grpc``.
        address: Host and port.
        outputs: Requested outputs.
        clients: Number of clients.
        seconds: Duration.
        model: The served file.
        rows: Rows per request.
    """

    transport: str
    address: str
    outputs: tuple[str, ...]
    clients: int
    seconds: float
    model: str = str(_MODEL)
    rows: int = 1


def measure() -> list[Row]:
    """Return one row per kind of client, with each server's rates and latencies."""
    rows: list[Row] = []
    with ExitStack() as stack:
        servers = {"onepass": stack.enter_context(_onepass())}
        missing = import_module("tests.triton.server").why_not()
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


def _inputs(session: Session, rows: int) -> Mapping[str, Array]:
    return random_inputs(session.signature, batch=rows)


def _loop(outputs: tuple[str, ...], *, model: str = str(_MODEL), rows: int = 1) -> float:
    """Return the calls per second of a plain loop."""
    count = 0
    with onepass.load(model) as session:
        feeds = _inputs(session, rows)
        session(feeds, outputs=outputs)
        end = time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            session(feeds, outputs=outputs)
            count += 1
    return count / _SECONDS


@contextmanager
def _onepass(model: str = str(_MODEL), *options: str) -> Iterator[dict[str, str]]:
    command = [
        sys.executable,
        "-m",
        "onepass",
        "serve",
        f"{_NAME}={model}",
        "--port",
        "0",
        "--grpc-port",
        "0",
        *options,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("serving on "):
                http, grpc = line.removeprefix("serving on http://").strip().split(", gRPC on ")
                break
        try:
            yield {"http": http, "grpc": grpc, "process": str(process.pid)}
        finally:
            process.terminate()


@contextmanager
def _triton() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        import_module("onepass.export").to_triton(_MODEL, folder, backend="python", name=_NAME, max_batch=32)
        with import_module("tests.triton.server").real_triton(Path(folder)) as running:
            yield {"http": running.http, "grpc": running.grpc}


def _under(load: Load) -> tuple[float, float, float]:
    """Return answers per second, and the median and 99th percentile of their latency in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.serve", "clients", json.dumps(asdict(load))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    rate, p50, p99 = json.loads(done.stdout)
    return rate, p50, p99


def _soak(most: int) -> None:
    """Send this many requests; print the number of answers and the server's memory."""
    done = 0
    with _onepass() as addresses:
        while done < most:
            for transport in ("http", "grpc"):
                for names in _OUTPUTS.values():
                    rate, *_ = _under(Load(transport, addresses[transport], names, 32, _SECONDS))
                    done += round(rate * _SECONDS)
            status = Path("/proc", addresses["process"], "status").read_text()
            memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
            print(f"{done:8,} requests, {int(memory) / 1024:7.1f} MiB", flush=True)


def _model(model: str, rows: int, outputs: tuple[str, ...]) -> None:
    """Serve a model to 64 clients in four processes; print rows per second and the GPU's utilisation."""
    with onepass.load(model) as session:
        names = outputs or session.signature.output_names
    with _gpu_use() as use:
        loop = _loop(names, model=model, rows=rows)
    print(f"loop: {loop * rows:.0f} rows/s, GPU busy {_busy(use)}", flush=True)
    with _onepass(model, "--max-batch", str(max(32, 8 * rows)), "--max-body-mb", "256") as addresses:
        for transport in ("http", "grpc"):
            load = Load(transport, addresses[transport], names, 16, _SECONDS, model, rows)
            with _gpu_use() as use, ThreadPoolExecutor(4) as processes:
                rates, p50, p99 = zip(*processes.map(_under, [load] * 4), strict=True)
            print(
                f"{transport}: {sum(rates) * rows:.0f} rows/s, {sum(rates) / loop:.2f} of the loop, p50 "
                f"{np.mean(p50):.2f} ms, p99 {max(p99):.2f} ms, GPU busy {_busy(use)}",
                flush=True,
            )


@contextmanager
def _gpu_use() -> Iterator[list[int]]:
    """Collect the GPU's utilisation in per cent, ten times per second."""
    use: list[int] = []
    if shutil.which("nvidia-smi") is None:
        yield use
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100", "-i", "0"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as process:
        yield use
        process.terminate()
        assert process.stdout is not None
        use.extend(int(line) for line in process.stdout if line.strip().isdigit())


def _busy(use: Sequence[int]) -> str:
    """Return the GPU's utilisation under load, without the first quarter, in which processes start."""
    return f"{np.quantile(use, 0.75):.0f} %" if use else "unknown"


async def _clients(load: Load) -> tuple[float, float, float]:
    """Be the clients."""
    with onepass.load(load.model) as session:
        feeds = _inputs(session, load.rows)
        expected = session(feeds, outputs=load.outputs).as_dict()
    [(name, x)] = feeds.items()
    make = {"http": _http_client, "grpc": _grpc_client}[load.transport]
    asks = [await make(load, name, x) for _ in range(load.clients)]
    times: list[float] = []
    begin = time.perf_counter() + 0.5  # the first moments are not counted
    end = begin + load.seconds

    async def client(ask: _Ask) -> None:
        while (start := time.perf_counter()) < end:
            answer = await ask()
            took = time.perf_counter() - start
            for each, want in expected.items():  # by hand: NumPy's own check takes as long as the model
                if np.abs(np.frombuffer(answer[each], want.dtype) - want.ravel()).max() > _TOLERANCE:
                    raise RuntimeError(f"{each} is wrong")
            if start >= begin:
                times.append(took)

    await asyncio.gather(*map(client, asks))
    return len(times) / load.seconds, float(np.median(times)) * 1e3, float(np.quantile(times, 0.99)) * 1e3


async def _http_client(load: Load, name: str, x: Array) -> _Ask:
    """Return a client that writes what it has written before: it takes as little of the machine as one can."""
    host, size = load.address, {"binary_data_size": x.nbytes}
    head = json.dumps({
        "inputs": [{"name": name, "datatype": "FP32", "shape": x.shape, "parameters": size}],
        "outputs": [{"name": each, "parameters": {"binary_data": True}} for each in load.outputs],
    }).encode()  # fmt: skip
    request = (
        (
            f"POST /v2/models/{_NAME}/infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(head) + x.nbytes}\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
        ).encode()
        + head
        + x.tobytes()
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


async def _grpc_client(load: Load, name: str, x: Array) -> _Ask:
    grpc, messages = import_module("grpc"), import_module("tritonclient.grpc.service_pb2")
    request = messages.ModelInferRequest(model_name=_NAME, raw_input_contents=[x.tobytes()])
    request.inputs.add(name=name, datatype="FP32", shape=x.shape)
    for each in load.outputs:
        request.outputs.add(name=each)
    channel = grpc.aio.insecure_channel(
        load.address, [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    )
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
        _given = json.loads(sys.argv[2])
        print(json.dumps(asyncio.run(_clients(Load(**{**_given, "outputs": tuple(_given["outputs"])})))))
    elif sys.argv[1:2] == ["soak"]:
        _soak(int(sys.argv[2]))
    elif sys.argv[1:2] == ["model"]:
        _model(sys.argv[2], int(sys.argv[3]), tuple(sys.argv[4:]))
    else:
        write_results("serve", measure())
