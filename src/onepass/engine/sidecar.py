"""The format of an engine's sidecar, ``<engine>.json``: described in docs/sidecar.md, defined in sidecar.schema.json.

The sidecar is beside the engine. While both are being replaced, it briefly has another name; the engine's digest in the
file decides which sidecar belongs to the engine. The sidecar's own digest reveals damage.

A new major version would be misread by older readers. A new minor version adds top-level keys, which older readers keep
unread, so that nothing is lost when they write the file again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from onepass._errors import EngineMismatchError
from onepass._json import parsed_json
from onepass.engine._schema import completed

MAJOR, MINOR = 1, 2
VERSION_KEY, MINOR_KEY, DIGEST_KEY = "onepass_engine", "onepass_engine_minor", "sidecar_sha256"
_DIGEST_SINCE = 2  # the minor version
SCHEMA_FILE = Path(__file__).with_name("sidecar.schema.json")

REMEDY = "build the engine again, or delete the file to load the engine as it is"


def sidecar_path(engine: str | os.PathLike[str]) -> Path:
    """Return the path of an engine's sidecar: ``elg.engine.json`` for ``elg.engine``."""
    path = Path(engine)
    return path.with_name(path.name + ".json")


def new_sidecar_path(engine: str | os.PathLike[str]) -> Path:
    """Return the path of a new sidecar while its engine has not been put in place yet."""
    path = sidecar_path(engine)
    return path.with_name(path.name + ".new")


def sidecar_files(engine: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the files that may be an engine's sidecar; for a symbolic link, also those beside its target."""
    path = Path(engine)
    engines = dict.fromkeys((path, Path(os.path.realpath(path))))
    places = [place(each) for each in engines for place in (sidecar_path, new_sidecar_path)]
    return tuple(file for file in places if file.is_file())


def read_json(file: Path) -> dict[str, Any]:
    """Read and validate a sidecar; keys that older versions did not have get their defaults.

    Raises:
        EngineMismatchError: The file is not a sidecar, is damaged, or has a later major version; the message names the
            key.
    """
    try:
        data = parsed_json(file.read_bytes())
    except ValueError as error:
        raise EngineMismatchError(f"{file} is not valid JSON ({error}); {REMEDY}") from error
    written = data.get(VERSION_KEY) if isinstance(data, dict) else None
    if isinstance(written, int) and written > MAJOR:
        raise EngineMismatchError(
            f"{file} has format version {written}, but this onepass supports version {MAJOR}; update "
            "onepass, or build the engine again"
        )
    try:
        found = dict(completed(data, schema()))
    except ValueError as error:
        raise EngineMismatchError(f"{file} is not a valid engine sidecar: {error}; {REMEDY}") from error
    recorded = found.pop(DIGEST_KEY)
    if recorded is None and found[MINOR_KEY] < _DIGEST_SINCE:
        return found
    if recorded != digest_of(data):
        raise EngineMismatchError(
            f"{file} is damaged, or was changed by hand: the SHA-256 of its content is {digest_of(data)[:12]}…, "
            f"expected {recorded and recorded[:12]}…; {REMEDY}"
        )
    return found


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write a sidecar with its own digest; `read_json` reads it back."""
    signed = {**data, DIGEST_KEY: digest_of(data)}
    file.write_text(json.dumps(signed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def digest_of(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a sidecar's content without the digest itself; whitespace and key order do not matter."""
    content = {key: value for key, value in data.items() if key != DIGEST_KEY}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def unknown_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the unknown keys of a sidecar, plus the minor version if it is later than ours."""
    known = schema()["properties"]
    extra = {name: value for name, value in data.items() if name not in known}
    minor = data.get(MINOR_KEY, 0)
    return extra if minor <= MINOR else {MINOR_KEY: minor, **extra}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the format."""
    return dict(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
