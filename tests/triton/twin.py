"""A twin of an exported engine: the same configuration, on Triton's Python backend and the CPU.

Triton checks all of it and serves it, but for what is TensorRT's alone. The model behind it computes what the engine
would, from the ONNX model, under the engine's names and in its dtypes.
"""

from __future__ import annotations

import re
from pathlib import Path

from onepass import OnnxGraph

_MODEL_PY = """
import numpy as np
import triton_python_backend_utils as pb

import onepass
from onepass.engine import read_sidecar
from onepass.export.triton.casts import Transfer


class TritonPythonModel:
    def initialize(self, args):
        folder = f"{args['model_repository']}/{args['model_version']}"
        self.plan = read_sidecar(f"{folder}/model.plan")
        self.session = onepass.load(f"{folder}/twin.onnx")
        self.transfer = Transfer()

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = {tensor.name(): self.transfer.array(tensor) for tensor in request.inputs()}
        for edge in self.plan.inputs:
            assert given[edge.tensor].dtype == edge.carrier, (edge, given[edge.tensor].dtype)
        outputs = self.session({e.spec.name: given[e.tensor].astype(e.spec.dtype) for e in self.plan.inputs})
        wanted = request.requested_output_names()
        made = [(e, outputs[e.spec.name].astype(e.carrier)) for e in self.plan.outputs if e.tensor in wanted]
        return pb.InferenceResponse([self.transfer.tensor(e.tensor, array) for e, array in made])
"""
_OF_TENSORRT = (
    (r'platform: "tensorrt_plan"', 'backend: "python"'),
    (r"KIND_GPU", "KIND_CPU"),
    (r"(?m)^optimization \{\n(?:  .*\n)*\}\n", ""),
    (r"(?m)^default_model_filename: .*\n", ""),
    (r"(?m)^  (profile|gpus): .*\n", ""),
)


def make_twin(folder: Path, graph: OnnxGraph) -> None:
    """Change the folder of an engine in a model repository into its twin's.

    Args:
        folder: What `to_triton` wrote for the engine itself.
        graph: The ONNX model that the engine was built of.
    """
    config = folder / "config.pbtxt"
    text = config.read_text("utf-8")
    for pattern, instead in _OF_TENSORRT:
        text = re.sub(pattern, instead, text)
    config.write_text(text, "utf-8")
    (folder / "1" / "model.py").write_text(_MODEL_PY, "utf-8")
    graph.save(folder / "1" / "twin.onnx")
