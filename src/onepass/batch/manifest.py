"""What is in the folder of a batch: its manifest, by which readers go, and the records of parts while it is made."""

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

MANIFEST = "_SUCCESS"
"""Name of the manifest, which is there when all parts are."""

JOB = "_JOB"
"""Name of the file that says what an unfinished batch does."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One file of a batch.

    Attributes:
        file: Its name.
        inputs: How many rows of the input it is of.
        rows: How many rows it has; with faces of pictures and videos, more than inputs.
        errors: How many inputs have an error in place of outputs.
        bytes: Its size.
        sha256: Digest of its content, 64 hexadecimal digits.
    """

    file: str
    inputs: int
    rows: int
    errors: int
    bytes: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Whether the file is there, with this content."""
        path = folder / self.file
        return path.is_file() and path.stat().st_size == self.bytes and sha256_of(path) == self.sha256


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished batch holds.

    Attributes:
        folder: Where it lies.
        job: What was done: the model's name and digest, the options, the inputs, as plain JSON values.
        parts: Its files, in the order of the rows.
    """

    folder: Path
    job: Mapping[str, Any]
    parts: tuple[PartRecord, ...]

    @property
    def inputs(self) -> int:
        """How many rows, or files, went in."""
        return sum(part.inputs for part in self.parts)

    @property
    def rows(self) -> int:
        """How many rows came out."""
        return sum(part.rows for part in self.parts)

    @property
    def errors(self) -> int:
        """How many inputs have an error in place of outputs."""
        return sum(part.errors for part in self.parts)

    @property
    def files(self) -> list[str]:
        """Paths of the files, for whatever reads Parquet."""
        return [str(self.folder / part.file) for part in self.parts]

    def verify(self) -> None:
        """Read all files and hold them against their digests.

        Raises:
            InputError: One is missing, or is not what was written.
        """
        for part in self.parts:
            if not part.is_in(self.folder):
                raise InputError(
                    f"{self.folder / part.file} is missing, or not what the batch wrote ({part.bytes} bytes, SHA-256 "
                    f"{part.sha256[:12]}…); run the batch again"
                )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values; `read_manifest` reads it back."""
        counts = {"inputs": self.inputs, "rows": self.rows, "errors": self.errors}
        return {"onepass_batch": 1, **counts, "job": dict(self.job), "parts": [asdict(part) for part in self.parts]}

    def write(self) -> None:
        """Put the manifest into the folder."""
        write_json(self.folder / MANIFEST, self.to_json())


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read what a finished batch holds. Whoever reads its results goes by this, not by the names in the folder.

    Example::

        table = pyarrow.parquet.read_table(onepass.batch.read_manifest("out").files)

    Raises:
        InputError: There is no manifest, since the batch is not finished or the folder is none of its; or it is
            damaged.
    """
    place = Path(folder)
    data = read_json(place / MANIFEST)
    if data is None:
        raise InputError(
            f"{place} holds no finished batch: there is no {MANIFEST} in it. If it was interrupted, run it again with "
            "resume=True"
        )
    try:
        if data["onepass_batch"] != 1:
            raise InputError(f"{place / MANIFEST} is of a newer version of onepass; update it")
        return Manifest(place, dict(data["job"]), tuple(PartRecord(**part) for part in data["parts"]))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place / MANIFEST} is damaged, or no manifest of a batch: {error}") from error


def is_unfinished(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a batch that `run` would go on with."""
    return Path(folder, JOB).exists()


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file of JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a file of JSON; None where there is none.

    Raises:
        InputError: It is damaged.
    """
    try:
        return parsed_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
