"""Graph clean-up by ONNX Runtime's own optimiser, kept at the level that stays within standard operators."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime

from onepass._errors import UnsupportedModelError


def optimized_bytes(model: bytes, *, folder: Path | None) -> bytes:
    """Return the serialised model after constant folding, BatchNorm folding and removal of dead nodes.

    Args:
        model: A serialised ``onnx.ModelProto``.
        folder: Where its external weights lie, if it has any; the result refers to those that have not changed.

    Raises:
        UnsupportedModelError: ONNX Runtime cannot read the model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    with tempfile.TemporaryDirectory(prefix="onepass-") as scratch:
        result = Path(scratch, "optimized.onnx")
        options.optimized_model_filepath = str(result)
        try:
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise UnsupportedModelError(f"ONNX Runtime cannot optimise the model: {error}") from error
        return result.read_bytes()
