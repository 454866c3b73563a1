"""The bundled network, as a graph."""

from pathlib import Path

import pytest

import onepass.gaze
from onepass import OnnxGraph


@pytest.fixture(scope="session")
def small_elg() -> OnnxGraph:
    """The smaller of the bundled networks."""
    return OnnxGraph.load(Path(onepass.gaze.__file__).parent / "data" / onepass.gaze.PACKAGED_MODELS["small"])
