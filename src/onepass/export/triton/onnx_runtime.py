"""An ONNX model on Triton's ONNX Runtime backend."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass.export.triton.config import Served, Settings, TritonModel, cpu, gpu, model_config
from onepass.export.triton.edges import declared, example_shapes
from onepass.export.triton.files import write_onnx
from onepass.export.triton.text import entries
from onepass.export.triton.together import looked_at
from onepass.runtime.spec import ModelSpec

FILE = "model.onnx"
_GPU = (["cuda"], ["cuda", "cpu"])


def onnx_models(name: str, spec: ModelSpec, settings: Settings, max_batch: int | None) -> Served:
    """Return the Triton model for an ONNX model that Triton runs itself.

    Raises:
        UnsupportedModelError: The model has tensors that Triton does not support.
        InputError: Triton does not support an option, or the batch size is impossible.
        ModelError: ONNX Runtime cannot open the model here.
    """
    on_gpu = _on_gpu(spec)
    signature, batch = looked_at(spec, max_batch)
    threads = {} if spec.threads is None else {"intra_op_thread_count": {"string_value": str(spec.threads)}}
    config = model_config(
        {"platform": "onnxruntime_onnx"},
        batch=batch,
        inputs=[declared("input", each, batch=batch) for each in signature.inputs],
        outputs=[declared("output", each, batch=batch) for each in signature.outputs],
        settings=settings,
        instance_group=gpu(settings.instances, None) if on_gpu else cpu(settings.instances),
        shapes=example_shapes(signature, batch),
        parameters=entries(threads),
        default_model_filename=FILE,
    )
    return Served(
        [TritonModel(name, config, partial(write_onnx, Path(spec.path), signature.output_names, FILE))], batch
    )


def _on_gpu(spec: ModelSpec) -> bool:
    instead = "omit the option, or let onepass run the model in Triton: backend='python'"
    for option in spec.options():
        if option not in {"providers", "threads"}:
            raise InputError(f"Triton's ONNX Runtime backend does not support {option}=; {instead}")
    names: list[Any] = list(spec.providers or ("cpu",))
    short = [each.lower().removesuffix("executionprovider") if isinstance(each, str) else "" for each in names]
    if short not in (["cpu"], *_GPU):
        raise InputError(f"providers={names!r}: for Triton's ONNX Runtime backend, expected 'cpu' or 'cuda'; {instead}")
    return short in _GPU
