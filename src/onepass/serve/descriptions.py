"""Metadata of a server and its models, as plain values that both transports encode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onepass._version import __version__
from onepass.serve.datatypes import datatype_of
from onepass.serve.models import Models, Served
from onepass.tensors import TensorSpec

# In the order of Triton's DataType numbers, from 1.
_CONFIGURED = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
               "BYTES", "BF16")  # fmt: skip


def server_metadata() -> dict[str, Any]:
    """Return the server's name, version and extensions."""
    extensions = ["binary_tensor_data", "model_configuration", "model_repository", "statistics"]
    return {"name": "onepass", "version": __version__, "extensions": extensions}


def model_metadata(models: Models, served: Served) -> dict[str, Any]:
    """Return a model's inputs and outputs, in the model's order; a dynamic size is -1."""
    return {
        "name": served.name,
        "versions": models.versions(served.name),
        "platform": f"onepass_{served.session.report().get('backend', 'model')}",
        "inputs": [_tensor(spec) for spec in served.signature.inputs],
        "outputs": [_tensor(spec) for spec in served.signature.outputs],
    }


def model_config(served: Served) -> dict[str, Any]:
    """Return a model's configuration in the form that Triton clients expect.

    Shapes include the batch dimension: ``max_batch_size`` is 0, and a dynamic first size is -1.
    """
    return {
        "name": served.name,
        "platform": "",
        "backend": "onepass",
        "max_batch_size": 0,
        "input": [_configured(spec) for spec in served.signature.inputs],
        "output": [_configured(spec) for spec in served.signature.outputs],
    }


def datatype_number(word: str) -> int:
    """Return the protobuf number of a configuration's ``data_type``."""
    return _CONFIGURED.index("BYTES" if word == "TYPE_STRING" else word.removeprefix("TYPE_")) + 1


def model_statistics(served: Served) -> dict[str, Any]:
    """Return a model's statistics since the server started."""
    of = served.metrics.statistics
    return {
        "name": served.name,
        "version": served.version,
        "last_inference": of.last_ms,
        "inference_count": of.rows,
        "execution_count": of.passes,
        "inference_stats": {
            "success": {"count": of.succeeded, "ns": of.succeeded_ns},
            "fail": {"count": of.failed, "ns": of.failed_ns},
            "queue": {"count": of.succeeded, "ns": of.queue_ns},
            "compute_infer": {"count": of.succeeded, "ns": of.compute_ns},
        },
    }


async def repository_index(models: Models, *, ready_only: bool) -> list[dict[str, str]]:
    """Return each version of each model, with its readiness."""
    index = []
    for served in models:
        ready = await served.is_ready()
        if ready or not ready_only:
            state, reason = ("READY", "") if ready else ("UNAVAILABLE", "its last passes failed")
            index.append({"name": served.name, "version": served.version, "state": state, "reason": reason})
    return index


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": datatype_of(spec), "shape": _sizes(spec)}


def _configured(spec: TensorSpec) -> dict[str, Any]:
    datatype = datatype_of(spec)
    return {
        "name": spec.name,
        "data_type": f"TYPE_{'STRING' if datatype == 'BYTES' else datatype}",
        "dims": _sizes(spec),
    }


def _sizes(spec: TensorSpec) -> list[int]:
    """Return a shape with -1 for dynamic sizes; a single -1 if the rank is unknown."""
    sizes: Iterable[Any] = (None,) if spec.shape is None else spec.shape
    return [size if isinstance(size, int) else -1 for size in sizes]
