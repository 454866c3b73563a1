"""An engine and its sidecar, written as one, though no system replaces two files at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onepass.artifacts import replacing
from onepass.drafts import is_stream, sync_folder
from onepass.engine.sidecar import new_sidecar_path, sidecar_path, write_json


def write_pair(path: Path, engine: bytes, sidecar: Mapping[str, Any]) -> bool:
    """Write an engine to `path` and its sidecar beside it; whoever reads them meanwhile has the old or the new ones.

    The new sidecar waits under a name of its own, then the engine takes its place, then the sidecar. In between the
    engine's digest says which sidecar is its own; see `onepass.engine.read_sidecar`.

    Returns:
        Whether there is a sidecar: beside a pipe or a device there is none.
    """
    if is_stream(path):
        with replacing(path) as temporary:
            temporary.write_bytes(engine)
        return False
    real = os.path.realpath(path)
    waiting, place = new_sidecar_path(real), sidecar_path(real)
    with replacing(path) as temporary:
        temporary.write_bytes(engine)
        _write(waiting, sidecar)
    try:
        waiting.replace(place)
    except FileNotFoundError:  # somebody else who writes here has taken it
        _write(place, sidecar)
    sync_folder(place.parent)
    return True


def _write(file: Path, sidecar: Mapping[str, Any]) -> None:
    with replacing(file) as temporary:
        write_json(temporary, sidecar)
