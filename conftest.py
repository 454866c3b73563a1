"""Run the examples in README.md and docs/: Python blocks as they stand, console blocks command by command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

import onepass.gaze

_OPTIONS = ELLIPSIS | NORMALIZE_WHITESPACE


def _run_console(example: Example) -> str | None:
    """Run each ``$ command`` of a block; the lines below it, if any, are its output, with ``...`` for what varies."""
    for part in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        while command.endswith("\\"):
            line, _, expected = expected.partition("\n")
            command = command[:-1] + line
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        result = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
        )
        printed = result.stdout + result.stderr
        if expected.strip():
            if not OutputChecker().check_output(expected, printed, _OPTIONS):
                return f"$ {command}\nexpected:\n{expected}\ngot:\n{printed}"
        elif result.returncode:
            return f"$ {command}\nfailed with status {result.returncode}:\n{printed}"
    return None


@pytest.fixture(scope="module")
def eyes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[np.ndarray[Any, Any]]:
    """Give each page a folder of its own with the files that it speaks of, and the array `eyes`."""
    folder = tmp_path_factory.mktemp("docs")
    data = Path(onepass.gaze.__file__).parent / "data"
    shutil.copy(data / onepass.gaze.PACKAGED_MODELS["small"], folder / "elg.onnx")
    pair = np.random.default_rng(0).uniform(-1, 1, (2, 1, 36, 60)).astype(np.float32)
    np.save(folder / "eyes.npy", pair)
    if request.path.name == "tutorial.md":
        (folder / "elg.onnx").unlink()  # which the page makes
        import_module("tests.source.gazeml_network").save_model(folder / "saved_model")
    before = Path.cwd()
    os.chdir(folder)
    yield pair
    os.chdir(before)


_NEEDS = {"docs/build.md": ("tensorrt_rtx",), "docs/tutorial.md": ("tensorrt_rtx", "tensorflow")}
_NOT_HERE = [page for page, modules in _NEEDS.items() if None in map(find_spec, modules)]
if shutil.which("curl") is None:
    _NOT_HERE.append("docs/serve.md")

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=_OPTIONS), CodeBlockParser("console", _run_console)],
    patterns=["README.md", "docs/*.md"],
    excludes=_NOT_HERE,
    fixtures=["eyes"],
).pytest()
