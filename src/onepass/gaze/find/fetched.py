"""Locate and open the fetched networks BlazeFace and FaceMesh, which are not part of onepass.

`onepass.gaze.fetch.models` fetches them.
"""

from __future__ import annotations

from pathlib import Path

from onepass._errors import ModelNotFoundError
from onepass.artifacts import user_cache
from onepass.gaze.find.mesh import MeshFinder
from onepass.graph import OnnxGraph
from onepass.graph.prelu import without_prelu
from onepass.runtime import load

DETECTOR, MESH = "blazeface", "facemesh"
"""Names of the networks."""

REVISION = "1eeb3d6a51df"
"""Revision of the files: the first digits of their package's hash. Each revision has its own folder."""


def models_folder() -> Path:
    """Return the folder of fetched networks; it may not exist yet."""
    return user_cache("gaze-models") / REVISION


def path_of(name: str) -> Path:
    """Return the path of a network's ONNX model; the file may not exist yet."""
    return models_folder() / f"{name}.onnx"


def are_fetched() -> bool:
    """Whether both networks have been fetched."""
    return all(path_of(name).is_file() for name in (DETECTOR, MESH))


def open_mesh_finder(*, max_faces: int | None = None) -> MeshFinder:
    """Open the fetched networks; `MeshFinder.close` closes them.

    Args:
        max_faces: Return at most this many faces, the largest; None returns all.

    Raises:
        ModelNotFoundError: The networks have not been fetched.
    """
    if not are_fetched():
        raise ModelNotFoundError(
            f"BlazeFace and FaceMesh not found in {models_folder()}; fetch them with `onepass gaze models fetch`"
        )
    mesh = without_prelu(OnnxGraph.load(path_of(MESH)))
    return MeshFinder(load(path_of(DETECTOR)), load(mesh), max_faces=max_faces)
