"""A folder with one ``.npy`` an output, and an index that says at every moment which files are of one run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from onepass.artifacts import free_name, replacing
from onepass.drafts import Draft, check_target, sync, sync_folder
from onepass.outputs import Array

_INDEX = "outputs.json"
_MAX_STEM = 180  # file systems end at 255 bytes
# What Windows takes for a device, whatever ending it has.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_RUN = re.compile(r"\.run-[0-9a-f]{12}")


def write_folder(folder: Path, outputs: Iterable[tuple[str, Array, Mapping[str, Any]]]) -> None:
    """Write arrays, each into a file called after its output, and an index of them; the folder is made.

    All files are written into a folder of this run's own first, which the index then names; after that they take their
    places, and the index names these. So whoever goes by the index reads one whole run, the former or this one.

    Args:
        folder: Where to.
        outputs: Name, array, and what the index says of it besides its file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    former = _listed(folder)
    run = folder / f".run-{os.urandom(6).hex()}"
    run.mkdir()
    index: dict[str, dict[str, Any]] = {}
    try:
        taken: set[str] = set()
        for name, array, facts in outputs:
            file = _file_name(name, taken)
            check_target(folder / file)
            np.save(run / file, array, allow_pickle=False)
            sync(run / file)
            index[name] = {"file": file, **facts}
        sync_folder(run)
        _write_index(folder, {name: {**entry, "file": f"{run.name}/{entry['file']}"} for name, entry in index.items()})
    except BaseException:
        if all(Path(file).parent.name != run.name for file in _listed(folder)):
            shutil.rmtree(run)
        raise
    for entry in index.values():
        _put(run / entry["file"], folder / entry["file"])
    _write_index(folder, index)
    for done in {run.name, *(Path(file).parent.name for file in former)} - {""}:
        shutil.rmtree(folder / done, ignore_errors=True)
    for stale in former - {entry["file"] for entry in index.values()}:
        if stale == Path(stale).name:
            (folder / stale).unlink(missing_ok=True)


def _put(written: Path, place: Path) -> None:
    """Give a file a second name, in place of what has it now."""
    draft = Draft(place)
    try:
        written.chmod(stat.S_IMODE(draft.path.stat().st_mode))
        draft.discard()
        try:
            draft.path.hardlink_to(written)
        except OSError:  # not on this file system
            shutil.copyfile(written, draft.path)
        draft.put()
    finally:
        draft.discard()


def _file_name(name: str, taken: set[str]) -> str:
    """Return a file's name that every system can have, and that differs from those taken by more than its case."""
    stem = quote(name, safe=" ")
    if len(stem) > _MAX_STEM:
        stem = f"{stem[:_MAX_STEM]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    if _DEVICE.match(stem):
        stem = f"_{stem}"
    return free_name(stem, ".npy", taken)


def _listed(folder: Path) -> set[str]:
    """Return the files that an earlier run wrote into the folder, by its index."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        files = {str(entry["file"]) for entry in index.values()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return set()  # there is none, or it is somebody else's
    return {file for file in files if file.endswith(".npy") and _is_ours(Path(file))}


def _is_ours(file: Path) -> bool:
    return file == Path(file.name) or (len(file.parts) == 2 and _RUN.fullmatch(file.parts[0]) is not None)


def _write_index(folder: Path, index: Mapping[str, Any]) -> None:
    with replacing(folder / _INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
