"""Print results as a table, and keep them with the machine and the versions they belong to."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from onepass.artifacts import replacing

Row = dict[str, Any]
_FOLDER = Path(__file__).parent / "results"


def write_results(name: str, rows: Sequence[Row]) -> None:
    """Print `rows` and write them to ``results/<name>.json``."""
    columns = list(rows[0])
    print(f"\n## {name}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(row[column]) for column in columns)} |")
    _FOLDER.mkdir(exist_ok=True)
    with replacing(_FOLDER / f"{name}.json") as temporary:
        temporary.write_text(json.dumps({"where": _where(), "rows": rows}, indent=2) + "\n")


def _where() -> dict[str, Any]:
    packages = ("numpy", "onnx", "onnxruntime", "click")
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
