"""Who knows the mechanics of ONNX graphs: `onepass.graph`, and the few modules named here.

import-linter takes packages of others as a whole, so that it cannot tell `onnx.helper` from `onnx`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import onepass

_ROOT = Path(onepass.__file__).parent
# These build nodes: an exporter, which writes a network from nothing, and a rewriter, which puts in transpositions.
_ELG, _TFLITE = "source/frameworks/gazeml/_elg_onnx.py", "source/frameworks/tflite/_graph.py"
_ALLOWED: dict[str, set[str]] = {
    "shape_inference": set(), "helper": {_ELG, _TFLITE, "source/finish/_layout.py"}, "numpy_helper": {_ELG},
}  # fmt: skip


def _used(tree: ast.AST) -> Iterator[str]:
    """Yield the names of onnx's modules that a module uses, however it imports them."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    called = {"onnx", *(alias.asname or "onnx" for node in imports for alias in node.names if alias.name == "onnx")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            top, _, rest = node.module.partition(".")
            if top == "onnx":
                yield from [rest.split(".")[0]] if rest else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("onnx."))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called:
            yield node.attr


def _users(name: str) -> set[str]:
    """Path of every module outside of graph/ that uses a module of onnx."""
    files = (file.relative_to(_ROOT) for file in _ROOT.rglob("*.py"))
    return {
        file.as_posix()
        for file in files
        if file.parts[0] != "graph" and name in _used(ast.parse((_ROOT / file).read_text("utf-8")))
    }


@pytest.mark.parametrize("name", _ALLOWED)
def test_only_these_modules_know_how(name: str) -> None:
    """A module of onnx that graphs are changed with is used in graph/, and where it is allowed, which is needed."""
    assert _users(name) == _ALLOWED[name]


@pytest.mark.parametrize(
    "code",
    [
        "from onnx import TensorProto, helper", "import onnx\nonnx.helper.make_node", "import onnx.helper",
        "from onnx.helper import make_node", "import onnx as o\no.helper.make_node",
        "def f():\n    from onnx import helper as h",
    ],
)  # fmt: skip
def test_every_way_to_import_is_seen(code: str) -> None:
    """The test above can fail, however a module is imported."""
    assert "helper" in _used(ast.parse(code))


def test_graphs_need_no_runtime() -> None:
    """Graphs are looked at and changed without ONNX Runtime, whatever module does it; cleaning up brings it."""
    modules = ", ".join(f"onepass.graph.{file.stem}" for file in (_ROOT / "graph").glob("[!_]*.py"))
    script = f"import sys, {modules}\nassert 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
