"""The real Triton as the tests start it."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.triton.server import RefusedError, real_triton, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

_MODEL = """
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([]) for _ in requests]
"""
_CONFIG = """
backend: "python"
input { name: "x" data_type: TYPE_FP32 dims: [-1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1] }
instance_group { kind: KIND_CPU }
"""


def _repository(folder: Path, config: str) -> Path:
    (folder / "simple" / "1").mkdir(parents=True)
    (folder / "simple" / "1" / "model.py").write_text(_MODEL)
    (folder / "simple" / "config.pbtxt").write_text(config)
    return folder


def test_it_serves_a_python_model_and_ends(tmp_path: Path) -> None:
    """A repository is served at the addresses given, and the server has ended after the block."""
    with real_triton(_repository(tmp_path, _CONFIG)) as triton:
        with urllib.request.urlopen(f"http://{triton.http}/v2/models/simple/ready") as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://{triton.metrics}/metrics") as answer:
            assert b"nv_inference_count" in answer.read()
        assert "Started GRPCInferenceService" in triton.log.read_text()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://{triton.http}/v2/health/live")
    assert subprocess.run(["ps", "-p", str(triton.process)], capture_output=True, check=False).returncode == 1


def test_it_says_what_is_wrong_with_a_repository(tmp_path: Path) -> None:
    """What Triton does not take is an error with Triton's words."""
    wrong = _CONFIG.replace("TYPE_FP32", "TYPE_FLOAT")
    with (
        pytest.raises(RefusedError, match='Unknown enumeration value of "TYPE_FLOAT"'),
        real_triton(_repository(tmp_path, wrong)),
    ):
        pass
