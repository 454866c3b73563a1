"""BlazeFace and FaceMesh, which onepass does not bring: where they lie once they were fetched, and how to open them.

`onepass.gaze.fetch.models` brings them here.
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
"""The networks by name."""

REVISION = "1eeb3d6a51df"
"""Which files they are: the first digits of the hash of the package that has them. Others have another folder."""


def models_folder() -> Path:
    """Return where fetched networks are kept; it may not be there yet."""
    return user_cache("gaze-models") / REVISION


def path_of(name: str) -> Path:
    """Return the path of a network's ONNX model; there may be nothing yet."""
    return models_folder() / f"{name}.onnx"


def are_fetched() -> bool:
    """Whether both networks are here."""
    return all(path_of(name).is_file() for name in (DETECTOR, MESH))


def open_mesh_finder(*, max_faces: int | None = None) -> MeshFinder:
    """Open the fetched networks; `MeshFinder.close` closes them.

    Args:
        max_faces: Return only that many faces, the largest; None returns all.

    Raises:
        ModelNotFoundError: They have not been fetched.
    """
    if not are_fetched():
        raise ModelNotFoundError(
            f"BlazeFace and FaceMesh are not here; `onepass gaze models fetch` brings them into {models_folder()}"
        )
    mesh = without_prelu(OnnxGraph.load(path_of(MESH)))
    return MeshFinder(load(path_of(DETECTOR)), load(mesh), max_faces=max_faces)
