"""What importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onepass import gaze, media


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("statement", ["import onepass.gaze", "import onepass.media"])
def test_importing_needs_no_extra(statement: str) -> None:
    """OpenCV, scikit-image and torch are imported by what uses them, not on import."""
    assert loaded_by(statement).isdisjoint({"cv2", "skimage", "torch"})


def test_the_import_test_can_fail() -> None:
    """The check above sees a module that was imported."""
    pytest.importorskip("cv2")
    assert "cv2" in loaded_by("import cv2")


@pytest.mark.parametrize("package", [gaze, media], ids=["gaze", "media"])
def test_everything_offered_is_there(package: object) -> None:
    """Each name in __all__ exists and has a docstring or is data."""
    names = package.__all__  # type: ignore[attr-defined]
    assert sorted(names) == sorted(set(names))
    for name in names:
        assert hasattr(package, name)
