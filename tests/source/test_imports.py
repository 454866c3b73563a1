"""What importing the package costs: nothing, until a network is converted."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("onnx", "onnxruntime", "onepass.runtime", "onepass.source._convert", "onepass.source.finish._finish")


@pytest.mark.parametrize(
    "statement",
    [
        "import onepass.source",
        "import onepass.source.finish, onepass.source.process",
        "from onepass.source.frameworks import gazeml, tensorflow, torch",
        "from onepass.source import Request, Trained",
        "from onepass.source.framework import FRAMEWORKS, Framework",
    ],
)
def test_what_is_imported(statement: str) -> None:
    """The faces of the packages, and the seam to the frameworks, bring neither ONNX nor ONNX Runtime."""
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert [name for name in _HEAVY if name in run.stdout.split()] == []
