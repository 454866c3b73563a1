"""Pages and charts that a command writes in addition to its output."""

from __future__ import annotations

from pathlib import Path

from onepass.artifacts import replacing


def write_report(file: Path, content: bytes) -> None:
    """Write a page or a chart; its folder is created if missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(content)
