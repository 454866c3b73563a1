"""Put model versions into a model repository atomically, because Triton may be watching it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from onepass._errors import InputError
from onepass.artifacts import replacing
from onepass.drafts import sync, sync_folder
from onepass.export.triton.config import TritonModel

_CONFIG = "config.pbtxt"
_LOCK = ".onepass.lock"  # a file, because Triton treats folders as models


def place_models(repository: Path, models: Sequence[TritonModel], *, force: bool) -> int:
    """Put a version of some models in place, and return its number, which is new to all of them.

    Each model is placed atomically, in order. Concurrent exports to one repository wait for each other.

    Raises:
        InputError: A model of the same name has a different configuration.
    """
    repository.mkdir(parents=True, exist_ok=True)
    repository = repository.resolve()
    with FileLock(repository / _LOCK):
        version = _next_version(repository, models, force=force)
        for each in models:
            _place(repository, each, version)
    return version


def _next_version(repository: Path, models: Sequence[TritonModel], *, force: bool) -> int:
    """Return an unused version number, if existing configurations equal the new ones."""
    taken = [0]
    for model in models:
        folder = repository / model.name
        if not folder.exists():
            continue
        config = folder / _CONFIG
        former = config.read_text(encoding="utf-8") if config.is_file() else None
        if former != model.text and not force:
            raise InputError(
                f"{folder} already has a different {_CONFIG}, which all its versions share; export under another name "
                "with name=…, or replace the configuration with force=True"
            )
        taken += [int(each.name) for each in folder.iterdir() if each.name.isascii() and each.name.isdigit()]
    return max(taken) + 1


def _place(repository: Path, model: TritonModel, version: int) -> None:
    place = repository / model.name
    if not place.exists():
        with _folder_becoming(place, _drafts_of(repository)) as folder:
            (folder / str(version)).mkdir()
            model.write(folder / str(version))
            (folder / _CONFIG).write_text(model.text, encoding="utf-8")
        return
    with _folder_becoming(place / str(version), place) as folder:  # Triton ignores non-numeric versions
        model.write(folder)
    with replacing(place / _CONFIG) as temporary:
        temporary.write_text(model.text, encoding="utf-8")


def _drafts_of(repository: Path) -> Path:
    """Return a folder for drafts of models, next to the repository: inside it, Triton treats each folder as a model."""
    beside = repository.parent
    is_one = repository.stat().st_dev == beside.stat().st_dev and os.access(beside, os.W_OK)
    return beside if is_one else repository


@contextmanager
def _folder_becoming(place: Path, drafts: Path) -> Iterator[Path]:
    """Yield a new folder; when the block ends, sync it to disk and move it into place, or remove it after an error.

    Old drafts for this place, left by a power failure, are removed.
    """
    stem = f".{place.parent.name}-{place.name}."
    for left in drafts.iterdir():
        if re.fullmatch(re.escape(stem) + "[0-9a-f]{12}", left.name):
            shutil.rmtree(left, ignore_errors=True)
    draft = drafts / f"{stem}{os.urandom(6).hex()}"
    draft.mkdir()
    try:
        yield draft
        for file in draft.rglob("*"):
            (sync_folder if file.is_dir() else sync)(file)
        draft.rename(place)
        sync_folder(place.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
