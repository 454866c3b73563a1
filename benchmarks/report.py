"""Print results as a table, and store them with machine and versions."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from onepass.artifacts import replacing

Row = dict[str, Any]
_FOLDER = Path(__file__).parent / "results"


def write_results(name: str, rows: Sequence[Row], *, where: Mapping[str, Any] | None = None) -> None:
    """Print `rows` as a table, and write them to ``results/<name>.json`` and, for the documentation, ``.md``.

    Args:
        name: Of the files.
        rows: All have the same columns.
        where: Further facts about the machine, such as a GPU or a version.
    """
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    facts = {**_where(), **(where or {})}
    print(f"\n## {name}\n\n{table}")
    _write(f"{name}.json", json.dumps({"where": facts, "rows": rows}, indent=2))
    _write(f"{name}.md", f"{table}\n\nMeasured {facts.pop('date')}: {', '.join(f'{k} {v}' for k, v in facts.items())}.")


def _write(name: str, text: str) -> None:
    _FOLDER.mkdir(exist_ok=True)
    with replacing(_FOLDER / name) as temporary:
        temporary.write_text(text + "\n")


def _where() -> dict[str, Any]:
    packages = ("numpy", "onnx", "onnxruntime", "click")
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
