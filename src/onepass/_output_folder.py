"""A folder with one ``.npy`` file per output, and an index that always lists the files of a single run."""

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
_MAX_STEM = 180  # file systems allow 255 bytes
# Names that Windows reserves for devices, whatever their suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_RUN = re.compile(r"\.run-[0-9a-f]{12}")


def write_folder(folder: Path, outputs: Iterable[tuple[str, Array, Mapping[str, Any]]]) -> None:
    """Write each array into a file named after its output, and an index of the files; create the folder if needed.

    The files are first written into a subfolder of this run, and the index points there. Then they move to their final
    places, and the index follows. So a reader who uses the index always gets one complete run: the former or this one.

    Args:
        folder: Where to write.
        outputs: Name, array, and the array's further fields in the index.
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
    """Link a file under a second name, which replaces any file that has the name."""
    draft = Draft(place)
    try:
        written.chmod(stat.S_IMODE(draft.path.stat().st_mode))
        draft.discard()
        try:
            draft.path.hardlink_to(written)
        except OSError:  # hard links are not supported on this file system
            shutil.copyfile(written, draft.path)
        draft.put()
    finally:
        draft.discard()


def _file_name(name: str, taken: set[str]) -> str:
    """Return a file name that is valid on every system and not taken, not even in another case."""
    stem = quote(name, safe=" ")
    if len(stem) > _MAX_STEM:
        stem = f"{stem[:_MAX_STEM]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    if _DEVICE.match(stem):
        stem = f"_{stem}"
    return free_name(stem, ".npy", taken)


def _listed(folder: Path) -> set[str]:
    """Return the files that earlier runs wrote into the folder, according to its index."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        files = {str(entry["file"]) for entry in index.values()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return set()  # there is no index, or another program wrote it
    return {file for file in files if file.endswith(".npy") and _is_ours(Path(file))}


def _is_ours(file: Path) -> bool:
    return file == Path(file.name) or (len(file.parts) == 2 and _RUN.fullmatch(file.parts[0]) is not None)


def _write_index(folder: Path, index: Mapping[str, Any]) -> None:
    with replacing(folder / _INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
