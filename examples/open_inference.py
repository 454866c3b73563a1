"""Get every output from an Open Inference Protocol server: `onepass serve` or NVIDIA's Triton.

    python examples/open_inference.py elg localhost:8000 localhost:8001

Requires NVIDIA's client: pip install 'tritonclient[http,grpc]'.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http.aio as http_aio
from tritonclient import grpc, http
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""Arrays by the model's tensor names."""


def describe(model: str, address: str) -> tuple[dict[str, tuple[Any, list[int]]], list[str]]:
    """Return a model's inputs (name to dtype and shape; -1 is a dynamic size), and the names of its outputs."""
    with http.InferenceServerClient(address) as client:
        told = client.get_model_metadata(model)
    inputs = {each["name"]: (triton_to_np_dtype(each["datatype"]), each["shape"]) for each in told["inputs"]}
    return inputs, [each["name"] for each in told["outputs"]]


def request(kind: Any, inputs: Arrays, outputs: Sequence[str] | None) -> dict[str, Any]:
    """Return the arguments of a call; HTTP and gRPC have different tensor classes."""
    given = []
    for name, array in inputs.items():
        tensor = kind.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        given.append(tensor)
    wanted = None if outputs is None else [kind.InferRequestedOutput(name) for name in outputs]
    return {"inputs": given, "outputs": wanted}


def by_name(result: Any) -> Arrays:
    """Return the arrays of an HTTP or gRPC result, by name."""
    response = result.get_response()
    listed = response["outputs"] if isinstance(response, dict) else response.outputs
    names = [each["name"] if isinstance(each, dict) else each.name for each in listed]
    return {name: result.as_numpy(name) for name in names}


def ask(kind: Any, address: str, model: str, inputs: Arrays, outputs: Sequence[str] | None = None) -> Arrays:
    """Send one request with `tritonclient.http` or `tritonclient.grpc`; return all outputs, or the named ones."""
    with kind.InferenceServerClient(address) as client:
        return by_name(client.infer(model, **request(kind, inputs, outputs)))


async def ask_several(
    kind: Any, address: str, model: str, several: Sequence[Arrays], outputs: Sequence[str] | None = None
) -> list[Arrays]:
    """Send several requests at once, with `tritonclient.http.aio` or `tritonclient.grpc.aio`, in one event loop."""
    async with kind.InferenceServerClient(address) as client:
        calls = [client.infer(model, **request(kind, inputs, outputs)) for inputs in several]
        return [by_name(result) for result in await asyncio.gather(*calls)]


def main(model: str = "elg", http_address: str = "localhost:8000", grpc_address: str = "localhost:8001") -> None:
    """Send requests in five ways, and print the outputs."""
    takes, gives = describe(model, http_address)
    rng = np.random.default_rng(0)
    shapes = {name: [size if size > 0 else 1 for size in shape] for name, (_, shape) in takes.items()}
    inputs = {name: rng.random(shapes[name]).astype(dtype) for name, (dtype, _) in takes.items()}
    answers = {
        "HTTP": ask(http, http_address, model, inputs),
        "gRPC": ask(grpc, grpc_address, model, inputs),
        "HTTP, asyncio": asyncio.run(ask_several(http_aio, http_address, model, [inputs] * 8))[-1],
        "gRPC, asyncio": asyncio.run(ask_several(grpc_aio, grpc_address, model, [inputs] * 8))[-1],
        "HTTP, one output": ask(http, http_address, model, inputs, gives[:1]),
    }
    for way, outputs in answers.items():
        print(f"{way}:", ", ".join(f"{name}={array.dtype}{list(array.shape)}" for name, array in outputs.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
