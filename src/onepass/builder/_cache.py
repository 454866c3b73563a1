"""The engine cache: each key covers everything that the engine depends on, so a wrong engine is never returned."""

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
        key: 64 hexadecimal digits, the name of the folder.
        plan: The engine.
        size_bytes: Size on disk.
        used_seconds: Time of last use, in seconds since 1970.
    """

    key: str
    plan: Plan
    size_bytes: int
    used_seconds: float


def cache_folder() -> Path:
    """Return the cache folder: ``$ONEPASS_CACHE/engines``, or ``onepass/engines`` in the user's cache folder."""
    return user_cache("engines")


def cache_key(onnx_sha256: str, options: BuildOptions, flavor: Flavor) -> str:
    """Return an engine's key: a digest of model, options, TensorRT, GPU, and onepass version."""
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
    """Return the engine with a key, building it if it is not cached, and whether it was cached.

    If several processes need the same engine at once, one builds it and the others wait. A damaged entry is built
    again.
    """
    from filelock import FileLock  # noqa: PLC0415 - used only here; keeps importing the package fast

    place = (folder or cache_folder()) / key
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f"{key}.lock")):
        plan = _sound(place)
        if plan is not None:
            os.utime(place)
            return plan, True
        plan = build()
        _remove(place)  # a damaged or incomplete entry; we hold the lock
        place.mkdir()
        return plan.save(place / _ENGINE), False


def _sound(place: Path) -> Plan | None:
    """Return the engine in a cache folder; None if it does not exist or is damaged."""
    try:
        if not (place / _ENGINE).is_file():
            return None
        plan = read_sidecar(place / _ENGINE)
        if plan is not None:
            plan.engine_bytes()
    except (EngineMismatchError, OSError):  # another process may have just cleared the cache
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
    """List the engines in the cache, most recently used first; damaged ones are skipped."""
    entries = []
    for place in (folder or cache_folder()).glob(f"*/{_ENGINE}"):
        plan = _sound(place.parent)
        if plan is not None:
            used = place.parent.stat().st_mtime
            entries.append(Entry(place.parent.name, plan, _size_bytes(place.parent), used))
    return sorted(entries, key=lambda entry: -entry.used_seconds)


def clear_cache(folder: Path | None = None) -> int:
    """Delete all engines in the cache, but no other files in its folder; return the number of bytes freed."""
    folder, freed = folder or cache_folder(), 0
    for place in [place for place in folder.glob("*") if _KEY.fullmatch(place.name) and place.is_dir()]:
        freed += _size_bytes(place)
        shutil.rmtree(place)
    for lock in folder.glob("*.lock"):
        lock.unlink(missing_ok=True)
    return freed
