"""Who may use what of whom, read off the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src"
_FOLDERS = (_SOURCE, *(_ROOT / name for name in ("benchmarks", "examples", "training")))
_FILES = sorted(file for folder in _FOLDERS for file in folder.rglob("*.py"))

# What is private and used from outside all the same.
_EXCUSED = {
    # It measures what a pass costs beside bare TensorRT, and for that needs the pieces of one.
    "benchmarks/raw_engine.py": {
        "onepass.runtime.tensorrt._context.Context", "onepass.runtime.tensorrt._engine.Engine",
    },
    # It knows by name what opens the networks of each framework.
    "src/onepass/source/framework.py": {
        "onepass.source.frameworks.tflite._light", "onepass.source.frameworks.tflite._with_tensorflow",
    },
}  # fmt: skip


_NAME = re.compile(r"onepass(\.\w+)+")


def _module_of(file: Path) -> str:
    """Return the name that a file is imported by."""
    parts = file.relative_to(_SOURCE if _SOURCE in file.parents else _ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each module that is imported, by statement or by its name in a table, and the name taken of it, if any."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
            yield node.value, ""


def private_imports(module: str, source: str) -> set[str]:
    """Return what a module imports that is private to a package outside of which it is.

    So modules at the top (``onepass._errors``) are shared by all packages of onepass.
    """
    found = set()
    for where, name in _imports(ast.parse(source)):
        parts = [*where.split("."), name]
        home = list(takewhile(lambda part: not part.startswith("_") or part.startswith("__"), parts))
        if _NAME.fullmatch(where) and home != parts and module.split(".")[: len(home)] != home:
            found.add(f"{where}.{name}".rstrip("."))
    return found


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(_ROOT)))
def test_what_is_private_stays_at_home(file: Path) -> None:
    """No module, and no name, with an underscore is imported from outside of the package that it is in."""
    found = private_imports(_module_of(file), file.read_text("utf-8"))
    assert found == _EXCUSED.get(str(file.relative_to(_ROOT)), set())


@pytest.mark.parametrize(("source", "found"), [
    ("from onepass.builder._build import build_with", {"onepass.builder._build.build_with"}),
    ("from onepass.builder import _build", {"onepass.builder._build"}),
    ("import onepass.builder._build", {"onepass.builder._build"}),
    ("def f():\n    from onepass.graph.model import _check", {"onepass.graph.model._check"}),
    ("lazy(__name__, {'onepass.builder._build': 'build'})", {"onepass.builder._build"}),
    ("from onepass.cli.page._routes import routes", {"onepass.cli.page._routes.routes"}),
    ("from onepass.cli._tables import table\nfrom onepass._errors import InputError\nimport onepass.builder", set()),
])  # fmt: skip
def test_what_is_private_is_found(source: str, found: set[str]) -> None:
    """The test above sees statements and tables; what is a package's own, or shared by all, is let through."""
    assert private_imports("onepass.cli.build", source) == found
