"""The output folder of a batch job: start, resume, finish. Only one process writes it, and it holds one job's files."""

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
# Temporary files of `onepass.drafts`, left by killed processes.
_DRAFT = re.compile(r"\.(part-\d+|_SUCCESS|_JOB|\d+)\.[0-9a-f]{12}(\.\w+)?")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Create the folder, and lock it against other batch jobs.

    Raises:
        InputError: Another process is writing to the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} is a file, or inside one; a batch needs a folder for its output") from error
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another process is writing a batch to {folder}; wait for it, or use another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def begin(folder: Path, job: Mapping[str, Any], *, resume: bool) -> tuple[dict[str, Any], Manifest | None]:
    """Check the folder's content, and record the job in it.

    Args:
        folder: The folder, locked by this process.
        job: Everything that determines the results, and ``rows_a_part``, which a resumed job keeps.
        resume: Whether to continue an existing job.

    Returns:
        The job as recorded in the folder; and the manifest, if the job is finished.

    Raises:
        InputError: The folder contains a batch and `resume` is not set, or a different job, or other files.
    """
    noted = read_json(folder / JOB)
    done = read_manifest(folder) if (folder / MANIFEST).exists() else None
    never_began = done is None and noted is not None and not any((folder / RECORDS).glob("[0-9]*.json"))
    if never_began:  # it ended before its first part was finished
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        tidy(folder)
        noted = None
    former = noted if done is None else dict(done.job)
    if former is None:
        others = [each.name for each in folder.iterdir() if each.name != _LOCK and not _DRAFT.fullmatch(each.name)]
        if others:
            raise InputError(f"{folder} contains other files, such as {min(others)!r}; write the batch to a new folder")
    elif not resume:
        state = "an unfinished batch" if done is None else "a batch"
        raise InputError(f"{folder} already contains {state}; continue it with resume=True, or use another folder")
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
        why = shown.get(name, f"an option differs: {name} is now {came}, and was {was}")
        raise InputError(
            f"{folder} contains a different batch job ({why}), so its files would not match; use another folder"
        )


def finish(folder: Path, job: Mapping[str, Any], parts: Sequence[PartRecord]) -> Manifest:
    """Write the manifest, and remove files that only an unfinished job needs."""
    manifest = Manifest(folder, job, tuple(parts))
    manifest.write()
    tidy(folder)
    return manifest


def tidy(folder: Path) -> None:
    """Remove the job's and the parts' records, which the manifest contains."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    (folder / JOB).unlink(missing_ok=True)
