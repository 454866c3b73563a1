"""Models that TensorFlow itself ran, if they are beside the repository."""

from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    """The folder with models and reference outputs that are too large for the repository."""
    folder = Path(__file__).parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: the models that TensorFlow ran are not here")
    return folder
