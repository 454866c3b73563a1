"""Models that TensorFlow itself ran, if they are beside the repository; frameworks without a process of their own."""

from pathlib import Path

import pytest

from onepass.source.framework import Framework


@pytest.fixture
def shared() -> Path:
    """The folder with models and reference outputs that are too large for the repository."""
    folder = Path(__file__).parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: the models that TensorFlow ran are not here")
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frameworks take seconds to start; that they work in processes of their own, too, test_elg.py shows."""
    monkeypatch.setattr(Framework, "runs_code", False)
