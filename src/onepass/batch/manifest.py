"""The manifest of a finished batch job, which its readers use, and the records of an unfinished one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onepass._errors import InputError
from onepass._json import parsed_json
from onepass.artifacts import replacing, sha256_of
from onepass.batch._columns import parquet

MANIFEST = "_SUCCESS"
"""Name of the manifest, written once all parts are complete."""

JOB = "_JOB"
"""Name of the file that describes an unfinished job."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One file of a batch job.

    Attributes:
        file: Name of the file.
        inputs: Number of input rows.
        rows: Number of rows in the file; for faces in pictures and videos, this can exceed `inputs`.
        errors: Number of inputs with an error instead of outputs.
        bytes: Size of the file.
        sha256: Digest of its content, 64 hexadecimal digits.
    """

    file: str
    inputs: int
    rows: int
    errors: int
    bytes: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Whether the folder has the file with this content."""
        path = folder / self.file
        return path.is_file() and path.stat().st_size == self.bytes and sha256_of(path) == self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """The results of a finished batch job.

    Attributes:
        folder: The output folder.
        job: The job as plain JSON values: the model's name and digest, the options, the inputs.
        parts: The files, in row order.
    """

    folder: Path
    job: Mapping[str, Any]
    parts: tuple[PartRecord, ...]

    @property
    def inputs(self) -> int:
        """Number of input rows or files."""
        return sum(part.inputs for part in self.parts)

    @property
    def rows(self) -> int:
        """Number of output rows."""
        return sum(part.rows for part in self.parts)

    @property
    def errors(self) -> int:
        """Number of inputs with an error instead of outputs."""
        return sum(part.errors for part in self.parts)

    @property
    def files(self) -> list[str]:
        """Paths of the files, for any Parquet reader."""
        return [str(self.folder / part.file) for part in self.parts]

    def first_error(self) -> tuple[str, str] | None:
        """Return the key and the message of the first error; None if there is none.

        Raises:
            MissingExtraError: PyArrow is not installed.
            OSError: A file cannot be read.
        """
        for part in self.parts:
            if part.errors:
                with parquet().ParquetFile(self.folder / part.file) as file:
                    key, error = file.schema_arrow.names[:2]  # named otherwise if an output is called "key" or "error"
                    for batch in file.iter_batches(columns=[key, error]):
                        rows = zip(batch[key].to_pylist(), batch[error].to_pylist(), strict=True)
                        for name, message in rows:
                            if message is not None:
                                return name, message
        return None

    def verify(self) -> None:
        """Compare all files with their digests.

        Raises:
            InputError: A file is missing or has changed.
        """
        for part in self.parts:
            if not part.is_in(self.folder):
                raise InputError(
                    f"{self.folder / part.file} is missing or has changed since the batch wrote it ({part.bytes} "
                    f"bytes, SHA-256 {part.sha256[:12]}…); run the batch again"
                )

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values, for `read_manifest`."""
        counts = {"inputs": self.inputs, "rows": self.rows, "errors": self.errors}
        return {"onepass_batch": 1, **counts, "job": dict(self.job), "parts": [asdict(part) for part in self.parts]}

    def write(self) -> None:
        """Write the manifest to the folder."""
        write_json(self.folder / MANIFEST, self.to_json())


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Return the manifest of a finished job. Find results through the manifest, not by listing the folder.

    Example::

        table = pyarrow.parquet.read_table(onepass.batch.read_manifest("out").files)

    Raises:
        InputError: The manifest is missing, because the job is unfinished or the folder is another one; or it is
            damaged.
    """
    place = Path(folder)
    data = read_json(place / MANIFEST)
    if data is None:
        raise InputError(
            f"{place} contains no finished batch: it has no {MANIFEST}. If the batch was interrupted, run it again "
            "with resume=True"
        )
    try:
        if data["onepass_batch"] != 1:
            raise InputError(f"{place / MANIFEST} was written by a newer version of onepass; update onepass")
        return Manifest(place, dict(data["job"]), tuple(PartRecord(**part) for part in data["parts"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place / MANIFEST} is damaged, or not the manifest of a batch: {error}") from error


def is_unfinished(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder contains a job that `run` can resume."""
    return Path(folder, JOB).exists()


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; None if it does not exist.

    Raises:
        InputError: The file is damaged.
    """
    try:
        return parsed_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
