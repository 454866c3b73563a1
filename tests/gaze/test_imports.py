"""What importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onepass import gaze, media


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after a statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("statement", ["import onepass.gaze", "import onepass.media"])
def test_importing_needs_no_extra(statement: str) -> None:
    """OpenCV, scikit-image and torch are imported by what uses them, not on import."""
    assert loaded_by(statement).isdisjoint({"cv2", "skimage", "torch"})


@pytest.mark.parametrize("module", ["geometry", "directions", "result"])
def test_geometry_and_results_load_numpy_only(module: str) -> None:
    """Who reads results elsewhere needs neither a runtime nor a picture library."""
    loaded = loaded_by(f"import onepass.gaze.{module}")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"onnx", "onnxruntime", "cv2", "scipy", "ml_dtypes"})
    assert loaded.isdisjoint({"onepass.runtime", "onepass.engine", "onepass.graph", "onepass.source"})


def test_an_estimator_loads_no_tools() -> None:
    """Finding gaze needs neither what converts models nor what builds engines."""
    loaded = loaded_by("import onepass.gaze.estimator")
    assert "onepass.runtime" in loaded
    assert loaded.isdisjoint({"onepass.source", "onepass.builder"})


def test_the_import_test_can_fail() -> None:
    """The checks above see a module that was imported."""
    pytest.importorskip("cv2")
    assert "cv2" in loaded_by("import cv2")
    assert {"onepass.source", "onnx"} <= loaded_by("import onepass.source, onnx")


@pytest.mark.parametrize("package", [gaze, media], ids=["gaze", "media"])
def test_everything_offered_is_there(package: object) -> None:
    """Each name in __all__ exists and has a docstring or is data."""
    names = package.__all__  # type: ignore[attr-defined]
    assert sorted(names) == sorted(set(names))
    for name in names:
        assert hasattr(package, name)
