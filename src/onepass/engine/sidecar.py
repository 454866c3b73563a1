"""The sidecar of an engine, ``<engine>.json``, as a format: docs/sidecar.md tells it, sidecar.schema.json defines it.

A major version is one that older readers misread. A minor one adds keys at the top, which older readers pass on
unread, so that nothing is lost when they write the file again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from onepass._errors import EngineMismatchError
from onepass.engine._schema import completed

MAJOR, MINOR = 1, 2
VERSION_KEY, MINOR_KEY = "onepass_engine", "onepass_engine_minor"
SCHEMA_FILE = Path(__file__).with_name("sidecar.schema.json")

REMEDY = "build the engine again, or delete the file to load the engine as it is"


def sidecar_path(engine: str | os.PathLike[str]) -> Path:
    """Return where the sidecar of an engine lies: ``elg.engine`` has ``elg.engine.json``."""
    path = Path(engine)
    return path.with_name(path.name + ".json")


def read_json(file: Path) -> dict[str, Any]:
    """Return what a sidecar says, held to the format, with defaults for what an older version did not have.

    Raises:
        EngineMismatchError: It is no sidecar, damaged, or of a later major version; the message says which key.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EngineMismatchError(f"{file} is no JSON, or damaged ({error}); {REMEDY}") from error
    written = data.get(VERSION_KEY) if isinstance(data, dict) else None
    if isinstance(written, int) and written > MAJOR:
        raise EngineMismatchError(
            f"{file} is written in version {written} of the format, and this onepass reads version {MAJOR}; update "
            "onepass, or build the engine again"
        )
    try:
        return dict(completed(data, schema()))
    except ValueError as error:
        raise EngineMismatchError(f"{file} is no sidecar of an engine, or damaged: {error}; {REMEDY}") from error


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write a sidecar, as `read_json` reads it."""
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def unknown_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a later minor version has put into a sidecar, its number included; nothing for one that we know."""
    known = schema()["properties"]
    extra = {name: value for name, value in data.items() if name not in known}
    minor = data.get(MINOR_KEY, 0)
    return extra if minor <= MINOR else {MINOR_KEY: minor, **extra}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the format."""
    return dict(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
