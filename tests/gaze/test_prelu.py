"""FaceMesh is opened with PReLU in faster operators."""

from __future__ import annotations

import numpy as np
import pytest

from onepass import OnnxGraph, load
from onepass.gaze.find import fetched
from onepass.gaze.find.fetched import DETECTOR, MESH, are_fetched, path_of
from onepass.graph.prelu import without_prelu
from tests.graph.test_prelu import operators, prelus

# Asked before any test points the cache elsewhere.
FETCHED_MESH = path_of(MESH) if are_fetched() else None


def test_the_mesh_is_opened_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fetched stays as it was converted; what is opened is the faster graph."""
    opened: list[OnnxGraph] = []
    monkeypatch.setattr(fetched, "load", opened.append)
    monkeypatch.setattr(fetched, "MeshFinder", lambda *_, **__: None)
    path = path_of(MESH)
    path.parent.mkdir(parents=True)
    path_of(DETECTOR).touch()
    prelus(np.full((1, 4, 1, 1), 0.5), channels=4).save(path)
    fetched.open_mesh_finder()
    assert operators(opened[1]) == ["Relu", "Conv", "Conv", "Add"]
    assert operators(OnnxGraph.load(path)) == ["PRelu"]


def test_face_mesh_has_none_left() -> None:
    """The network that it is for: no PReLU remains, and its points stay where they were."""
    if FETCHED_MESH is None:
        pytest.skip("needs `onepass gaze models fetch`")
    before = OnnxGraph.load(FETCHED_MESH)
    after = without_prelu(before)
    assert "PRelu" not in operators(after)
    picture = np.random.default_rng(0).random((1, 192, 192, 3), np.float32)
    with load(before) as slow, load(after) as fast:
        np.testing.assert_allclose(fast(picture)["points"], slow(picture)["points"], atol=1e-3)
