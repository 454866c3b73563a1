"""Face finders by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onepass._errors import InputError
from onepass.gaze.find.cascades import CascadeFinder
from onepass.gaze.find.dlib_finder import DlibFinder
from onepass.gaze.find.faces import (
    OpenedFinder,
    sees_heads,  # noqa: F401 - it has always been offered here
)
from onepass.gaze.find.fetched import are_fetched, open_mesh_finder

_FINDERS: Mapping[str, Callable[..., OpenedFinder]] = {
    "mesh": open_mesh_finder,
    "cascades": CascadeFinder,
    "dlib": DlibFinder,
}
FINDERS = ("auto", *_FINDERS)
"""Valid names for `open_finder`."""


def open_finder(name: str = "auto", *, max_faces: int | None = None) -> OpenedFinder:
    """Return a face finder; release it with `close`.

    Args:
        name: "mesh" for BlazeFace and FaceMesh, "cascades" for OpenCV's Haar cascades, "dlib" for dlib; "auto" selects
            "mesh" if ``onepass gaze models fetch`` has fetched it, otherwise "cascades".
        max_faces: Return at most this many faces, the largest; None returns all.

    Raises:
        InputError: The name is unknown, or `max_faces` is below 1.
        ModelNotFoundError: "mesh" has not been fetched.
        MissingExtraError: A package that the finder needs is not installed.
    """
    if name == "auto":
        name = "mesh" if are_fetched() else "cascades"
    if name not in _FINDERS:
        raise InputError(f"unknown face finder {name!r}; expected one of {', '.join(map(repr, FINDERS))}")
    return _FINDERS[name](max_faces=max_faces)
