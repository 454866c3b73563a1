"""The folder that a batch writes: begun, gone on with, finished; one process at a time, one job in all its files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from onepass._errors import InputError
from onepass.batch._part import RECORDS
from onepass.batch.manifest import JOB, MANIFEST, Manifest, PartRecord, read_json, read_manifest, write_json

_LOCK = "_LOCK"
# What a process that was killed left: drafts of `onepass.drafts`.
_DRAFT = re.compile(r"\.(part-\d+|_SUCCESS|_JOB|\d+)\.[0-9a-f]{12}(\.\w+)?")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other batches out of it.

    Raises:
        InputError: Another process is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} is, or lies in, a file; a batch is written into a folder") from error
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"another process is writing a batch into {folder}; wait for it, or write elsewhere") from None
    try:
        yield
    finally:
        lock.release()


def begin(folder: Path, job: Mapping[str, Any], *, resume: bool) -> tuple[dict[str, Any], Manifest | None]:
    """Look at what the folder holds, and note the job in it.

    Args:
        folder: Held by this process.
        job: What decides the results, and ``rows_a_part``, which a job that goes on keeps as it was.
        resume: Whether to go on with what is there.

    Returns:
        The job as the folder has it; and the manifest, where all is done already.

    Raises:
        InputError: There is a batch in the folder and `resume` is not set, it is of another job, or there is something
            else.
    """
    noted = read_json(folder / JOB)
    done = read_manifest(folder) if (folder / MANIFEST).exists() else None
    never_began = done is None and noted is not None and not any((folder / RECORDS).glob("*.json"))
    if never_began:  # it ended before a part of it was there
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        tidy(folder)
        noted = None
    former = noted if done is None else dict(done.job)
    if former is None:
        others = [each.name for each in folder.iterdir() if each.name != _LOCK and not _DRAFT.fullmatch(each.name)]
        if others:
            raise InputError(f"{folder} holds {min(others)!r}, which is no batch's; write into a folder of its own")
    elif not resume:
        state = "an unfinished batch" if done is None else "a batch"
        raise InputError(f"{folder} holds {state}; resume=True goes on with it, or write elsewhere")
    else:
        _check_same(folder, former, job)
    for draft in (*folder.iterdir(), *((folder / RECORDS).iterdir() if (folder / RECORDS).exists() else ())):
        if _DRAFT.fullmatch(draft.name):
            draft.unlink()
    if done is not None:
        tidy(folder)
        return dict(done.job), done
    noted = dict(former or job)
    if former is None:
        write_json(folder / JOB, noted)
    (folder / RECORDS).mkdir(exist_ok=True)
    return noted, None


def _check_same(folder: Path, former: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    differs = [name for name in job if name != "rows_a_part" and former.get(name) != job[name]]
    if differs:
        shown = {"model_sha256": "the model's content differs", "inputs": "the inputs differ"}
        name = differs[0]
        came, was = (str(each.get(name))[:80] for each in (job, former))
        why = shown.get(name, f"an option differs: {name} is {came} now, and was {was}")
        raise InputError(
            f"{folder} holds a batch of another job, for {why}; its files would not belong together. Write elsewhere"
        )


def finish(folder: Path, job: Mapping[str, Any], parts: Sequence[PartRecord]) -> Manifest:
    """Write the manifest, and remove what only an unfinished batch needs."""
    manifest = Manifest(folder, job, tuple(parts))
    manifest.write()
    tidy(folder)
    return manifest


def tidy(folder: Path) -> None:
    """Remove the records of parts and of the job; the manifest has them all."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    (folder / JOB).unlink(missing_ok=True)
