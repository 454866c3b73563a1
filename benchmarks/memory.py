"""Peak memory while a 1 GB model is loaded, as a multiple of its size."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from benchmarks.report import Row

_LAYERS, _WIDTH = 24, 3300

_ONEPASS = "from onepass import load; import onnxruntime; base = peak(); s = load(path)"
_RAW = "import onnxruntime; base = peak(); s = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])"
_GRAPH = "from onepass import OnnxGraph; base = peak(); s = OnnxGraph.load(path)"
_PEAK = """
import sys
path = sys.argv[1]
def peak():
    status = open('/proc/self/status').read()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmHWM')) * 1024
"""


def measure() -> list[Row]:
    """Return one row per way of loading a model: from one file, and with weights in separate files."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        model = _model()
        single, external = Path(scratch, "single.onnx"), Path(scratch, "external.onnx")
        onnx.save_model(model, single)
        onnx.save_model(model, external, save_as_external_data=True, location="external.onnx.data")
        del model
        for name, code in (("onnxruntime", _RAW), ("onepass.load", _ONEPASS), ("OnnxGraph.load", _GRAPH)):
            for path in (single, external):
                size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
                script = f"{_PEAK}\n{code}\nprint(peak() - base)"
                result = subprocess.run(
                    [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
                )
                rows.append(
                    {
                        "loaded by": name,
                        "weights": "in the file" if path is single else "beside it",
                        "size MB": round(size / 1e6),
                        "peak MB": round(int(result.stdout) / 1e6),
                        "peak / size": round(int(result.stdout) / size, 3),
                    }
                )
    return rows


def _model() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    names = [f"h{i}" for i in range(_LAYERS)] + ["y"]
    nodes = [onnx.helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(_LAYERS)]
    weights = [
        onnx.numpy_helper.from_array(rng.standard_normal((_WIDTH, _WIDTH), dtype=np.float32), f"w{i}")
        for i in range(_LAYERS)
    ]
    edge = [onnx.helper.make_tensor_value_info(name, 1, ["N", _WIDTH]) for name in ("h0", "y")]
    graph = onnx.helper.make_graph(nodes, "big", edge[:1], edge[1:], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
