"""Replace an engine and its sidecar together, although no file system replaces two files atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onepass.artifacts import replacing
from onepass.drafts import is_stream, sync_folder
from onepass.engine.sidecar import new_sidecar_path, sidecar_path, write_json


def write_pair(path: Path, engine: bytes, sidecar: Mapping[str, Any]) -> bool:
    """Write an engine to `path` and its sidecar beside it; concurrent readers get the old pair or the new pair.

    The new sidecar is written under a temporary name, then the engine is put in place, then the sidecar. In between,
    the engine's digest tells which sidecar belongs to it; see `onepass.engine.read_sidecar`.

    Returns:
        Whether a sidecar was written: pipes and devices have none.
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
    except FileNotFoundError:  # another process that writes the same engine has moved it
        _write(place, sidecar)
    sync_folder(place.parent)
    return True


def _write(file: Path, sidecar: Mapping[str, Any]) -> None:
    with replacing(file) as temporary:
        write_json(temporary, sidecar)
