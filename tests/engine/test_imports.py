"""What an engine's facts cost to import: whoever serves engines has no use for ONNX."""

from __future__ import annotations

import subprocess
import sys

import pytest

_BUILDS = {"onnx", "onnxruntime", "click", "rich", "filelock"}


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement, and the packages that they are in."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {*names, *(name.partition(".")[0] for name in names)}


@pytest.mark.parametrize("name", ["", ".plan", ".sidecar", ".shapes", ".flavor", ".layers", ".profiles", ".log"])
def test_facts_need_no_onnx(name: str) -> None:
    """An engine's plan, shapes, flavour and layers are known without ONNX, ONNX Runtime or the builder."""
    loaded = loaded_by(f"import onepass.engine{name}")
    assert f"onepass.engine{name}" in loaded
    assert not _BUILDS & loaded
    assert not {each for each in loaded if each.startswith(("onepass.builder", "onepass.graph", "onepass.runtime"))}


def test_names_of_the_face_need_no_onnx() -> None:
    """Reading a plan off its sidecar loads none of them either."""
    assert not _BUILDS & loaded_by("from onepass.engine import Plan, ShapeRange, find_flavors, read_sidecar")


def test_the_builder_is_brought_when_asked_for() -> None:
    """The test above can fail: the builder's names, which the face offers too, load ONNX."""
    assert {"onnx", "onepass.builder"} <= loaded_by("from onepass.engine import build")
