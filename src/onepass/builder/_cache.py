"""The cache of engines: each under a key made of everything that it depends on, so that it is never the wrong one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from onepass._errors import EngineMismatchError
from onepass._version import __version__
from onepass.artifacts import path_tuple, sha256_of, user_cache
from onepass.builder._gpu import current_gpu
from onepass.builder.options import BuildOptions
from onepass.engine.flavor import Flavor
from onepass.engine.plan import Plan, read_sidecar

_ENGINE = "model.engine"
_KEY = re.compile("[0-9a-f]{64}")


class Entry(NamedTuple):
    """One engine in the cache.

    Attributes:
        key: 64 hexadecimal digits, the name of its folder.
        plan: The engine.
        size_bytes: What it takes on disk.
        used_seconds: When it was last used, as seconds since 1970.
    """

    key: str
    plan: Plan
    size_bytes: int
    used_seconds: float


def cache_folder() -> Path:
    """Return where engines are kept: ``$ONEPASS_CACHE/engines``, or ``onepass/engines`` in the user's caches."""
    return user_cache("engines")


def cache_key(onnx_sha256: str, options: BuildOptions, flavor: Flavor) -> str:
    """Return the key of an engine: model, options, TensorRT, GPU, and the onepass that prepares the graph."""
    content = {
        "onepass": __version__,
        "onnx": onnx_sha256,
        "options": options.key_json(),
        "plugins": [sha256_of(library) for library in path_tuple(options.plugins, what="plugins")],
        "flavor": [flavor.name, flavor.version],
        "gpu": current_gpu(),
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def cached(key: str, build: Callable[[], Plan], folder: Path | None = None) -> tuple[Plan, bool]:
    """Return the engine of a key, built if it is not there yet, and whether it was.

    Of several processes that want the same engine at once, one builds it and the others wait. An entry that is damaged
    in whatever way is built anew.
    """
    from filelock import FileLock  # noqa: PLC0415 - only here, and the package is not to wait for it

    place = (folder or cache_folder()) / key
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f"{key}.lock")):
        plan = _sound(place)
        if plan is not None:
            os.utime(place)
            return plan, True
        plan = build()
        _remove(place)  # what is damaged, or of somebody who was stopped; nobody else is here
        place.mkdir()
        return plan.save(place / _ENGINE), False


def _sound(place: Path) -> Plan | None:
    """Return the engine in a folder of the cache; None if it is not there, or not as it was written."""
    try:
        if not (place / _ENGINE).is_file():
            return None
        plan = read_sidecar(place / _ENGINE)
        if plan is not None:
            plan.engine_bytes()
    except (EngineMismatchError, OSError):  # another process may have cleared the cache meanwhile
        return None
    return plan


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _size_bytes(place: Path) -> int:
    return sum(file.stat().st_size for file in place.iterdir() if file.is_file())


def cache_entries(folder: Path | None = None) -> list[Entry]:
    """List the engines in the cache, the one used last first; damaged ones are left out."""
    entries = []
    for place in (folder or cache_folder()).glob(f"*/{_ENGINE}"):
        plan = _sound(place.parent)
        if plan is not None:
            used = place.parent.stat().st_mtime
            entries.append(Entry(place.parent.name, plan, _size_bytes(place.parent), used))
    return sorted(entries, key=lambda entry: -entry.used_seconds)


def clear_cache(folder: Path | None = None) -> int:
    """Delete every engine in the cache; return how many bytes that frees. Nothing else in the folder is touched."""
    folder, freed = folder or cache_folder(), 0
    for place in [place for place in folder.glob("*") if _KEY.fullmatch(place.name) and place.is_dir()]:
        freed += _size_bytes(place)
        shutil.rmtree(place)
    for lock in folder.glob("*.lock"):
        lock.unlink(missing_ok=True)
    return freed
