"""Models that onepass runs inside Triton's Python backend: engines of every TensorRT flavor, strings, scalars."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from onepass._errors import InputError, UnsupportedModelError
from onepass.artifacts import path_tuple
from onepass.engine import Plan
from onepass.export.triton.config import Served, Settings, TritonModel, cpu, model_config
from onepass.export.triton.edges import declared, engine_batch, example_shapes, in_python
from onepass.export.triton.files import copy, write_engine, write_onnx
from onepass.export.triton.text import entries
from onepass.export.triton.together import looked_at
from onepass.formats import Format
from onepass.runtime.spec import ModelSpec
from onepass.tensors import dtype_name

KEY = "onepass"
"""The configuration parameter with the options for opening the model."""
_FILES = {Format.ONNX: "model.onnx", Format.ORT: "model.ort", Format.ENGINE: "model.engine"}
_MODEL_PY = '''"""Run the model next to this file with onepass, which must be installed in Triton's Python."""

from onepass.export.triton.python_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


def python_models(
    name: str, spec: ModelSpec, kind: Format, plan: Plan | None, settings: Settings, max_batch: int | None
) -> Served:
    """Return the Triton models that let onepass run a model; an engine needs its plan.

    Raises:
        UnsupportedModelError: The model has tensors that Triton's Python backend does not support.
        InputError: The batch size is impossible, or an option names a file that may not exist where Triton runs.
        ModelError: ONNX Runtime cannot open the model here.
    """
    if spec.weights is not None:
        raise InputError(
            "weights= names another file, which the export cannot include; put the weights into the engine first: "
            "onepass refit"
        )
    if plan is not None:
        signature, profiles = plan.signature, plan.profiles
        batch = engine_batch(signature, profiles, max_batch)
    else:
        (signature, batch), profiles = looked_at(spec, max_batch), ()
    for edge in (*signature.inputs, *signature.outputs):
        if not in_python(edge.dtype):
            raise UnsupportedModelError(
                f"{edge.name!r} is {dtype_name(edge.dtype)}, which Triton's Python backend does not support; cast it "
                "to float32 in the model, or choose outputs without it"
            )
    file = _FILES[kind]
    config = model_config(
        {"backend": "python"},
        batch=batch,
        inputs=[declared("input", each, batch=batch, scalars=True) for each in signature.inputs],
        outputs=[declared("output", each, batch=batch, scalars=True) for each in signature.outputs],
        settings=settings,
        instance_group=cpu(settings.instances),  # onepass assigns GPUs itself
        shapes=example_shapes(signature, batch, profiles),
        parameters=entries({KEY: {"string_value": json.dumps({**spec.to_json(), "path": file})}}),
    )
    notes = ["install onepass in the Python environment that Triton runs models with"]
    notes += [
        f"the plugin library must exist there under the same path: {library}"
        for library in path_tuple(spec.plugins or (), what="plugins")
    ]
    return Served([TritonModel(name, config, partial(_write, spec, kind, plan))], batch, tuple(notes))


def _write(spec: ModelSpec, kind: Format, plan: Plan | None, folder: Path) -> None:
    (folder / "model.py").write_text(_MODEL_PY, encoding="utf-8")
    if plan is not None:
        write_engine(plan, _FILES[kind], folder)
    elif kind is Format.ONNX:
        write_onnx(Path(spec.path), None, _FILES[kind], folder)
    else:
        copy(Path(spec.path), _FILES[kind], folder)
