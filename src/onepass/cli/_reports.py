"""Pages and drawings that a command writes beside what it prints."""

from __future__ import annotations

from pathlib import Path

from onepass.artifacts import replacing


def write_report(file: Path, content: bytes) -> None:
    """Put a page or a drawing in its place, whose folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(content)
