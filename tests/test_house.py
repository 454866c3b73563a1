"""The house in order: every file on the map, modules small, lazy faces as type checkers see them."""

from __future__ import annotations

import ast
from importlib import import_module
from itertools import takewhile
from pathlib import Path, PurePosixPath
from statistics import median

import pytest

_ROOT = Path(__file__).parent.parent
_PACKAGE = _ROOT / "src" / "onepass"
_FACES = [file for file in sorted(_PACKAGE.rglob("__init__.py")) if "import lazy" in file.read_text(encoding="utf-8")]


def named_on_map(map_: str) -> list[str]:
    """Return the paths that a map names, relative to ``src/onepass``; those of folders end in ``/``.

    A line that begins with two spaces and a path names it, and the paths after it up to the text: `` engine/plan.py
    shapes.py  what they are``. One without a folder lies in that of the first. Other lines are of other folders, or go
    on with a text.
    """
    named = []
    for line in map_.splitlines():
        if not line.startswith("  ") or line[2:3].isspace():
            continue
        paths = list(takewhile(lambda word: word.endswith((".py", ".json", "/")), line.split()))
        for path in paths:
            alone = "/" not in path.rstrip("/")
            folder = PurePosixPath(paths[0]).parent if alone else PurePosixPath()
            named.append(str(folder / path) + "/" * path.endswith("/"))
    return named


def test_the_map_is_read_as_it_is_meant() -> None:
    """A line names one path or several, in the folder of the first or in their own; texts name nothing."""
    assert named_on_map(
        "src/onepass/\n"
        "  __init__.py  _lazy.py   faces, of gaze/__init__.py too\n"
        "                          and more of the text, about tensors.py\n"
        "  engine/plan.py  shapes.py  gaze/fit.py   text\n"
        "  gaze/show/  data/   text\n"
        "tests/   zoo.py: models\n"
    ) == ["__init__.py", "_lazy.py", "engine/plan.py", "engine/shapes.py", "gaze/fit.py", "gaze/show/", "gaze/data/"]


def test_map() -> None:
    """Every file is on the map in CONTRIBUTING, by itself or with its folder, and the map names nothing else.

    The face of a package, `__init__.py`, comes with what the package holds.
    """
    text = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = named_on_map(text.partition("<!-- rooms -->")[2].partition("<!-- end of rooms -->")[0])
    twice = sorted({name for name in named if named.count(name) > 1})
    assert twice == [], f"on the map twice: {twice}"
    gone = [name for name in named if not (_PACKAGE / name).exists()]
    files = [
        file.relative_to(_PACKAGE).as_posix()
        for file in sorted(_PACKAGE.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts and file.name not in {"__init__.py", "py.typed"}
    ]
    folders = tuple(name for name in named if name.endswith("/"))
    missing = [file for file in files if file not in named and not file.startswith(folders)]
    assert (missing, gone) == ([], []), f"not on the map: {missing}; on the map, but not there: {gone}"


def test_modules_are_small() -> None:
    """A module is read in one go: half of them have fewer than 130 lines, none has more than 350."""
    lines = {
        file.relative_to(_PACKAGE).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in _PACKAGE.rglob("*.py")
    }
    assert median(lines.values()) < 130
    assert {file: count for file, count in lines.items() if count > 350} == {}


def _face(file: Path) -> tuple[str, set[tuple[str, str]], set[tuple[str, str]]]:
    """Return a package's name, and (module, name) of what it imports for type checkers and of what its table offers."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    checked = set()
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for each in node.names:
            assert each.asname == each.name, f"import {each.name} as {each.name}, else it is not offered"
            checked.add((str(node.module), each.name))
    [call] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("lazy")
    ]
    table: dict[str, str] = ast.literal_eval(call.args[1])
    offered = {(module, name) for module, names in table.items() for name in names.split()}
    return ".".join(file.parent.relative_to(_ROOT / "src").parts), checked, offered


def test_faces_are_found() -> None:
    """The test below has something to look at."""
    assert _PACKAGE / "__init__.py" in _FACES
    assert len(_FACES) > 5


@pytest.mark.parametrize("file", _FACES, ids=lambda file: str(file.parent.relative_to(_PACKAGE.parent)))
def test_lazy_faces(file: Path) -> None:
    """A package offers what type checkers believe it does, from the same modules, and lists it, sorted."""
    name, checked, offered = _face(file)
    assert checked == offered
    package = import_module(name)
    assert list(package.__all__) == sorted(package.__all__)
    assert {each for _, each in offered} <= set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=f"^module '{name}' has no attribute 'nothing'$"):
        _ = package.nothing


@pytest.mark.parametrize("file", _FACES, ids=lambda file: str(file.parent.relative_to(_PACKAGE.parent)))
def test_what_faces_offer_is_there(file: Path) -> None:
    """Each name that a package offers is what its module has under that name."""
    name, _, offered = _face(file)
    package = import_module(name)
    for module, each in offered:
        try:
            value = getattr(import_module(module), each)
        except ModuleNotFoundError as error:
            if error.name not in {"tensorflow", "torch"}:
                raise
            pytest.skip(f"{error.name}, which {module} is about, is not installed")
        assert getattr(package, each) is value
