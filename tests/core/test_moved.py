"""Modules that have moved: their old names work for a while, and say so."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import onepass.gaze
from onepass._moved import MOVED

_ROOT = Path(__file__).parents[2]
_OURS = [
    file
    for folder in ("src", "tests", "examples", "benchmarks", "training")
    for file in sorted((_ROOT / folder).rglob("*.py"))
]


# Some modules import the framework that they are about; it need not be here.
_FRAMEWORKS = {"ai_edge_litert", "keras", "tensorflow", "tf2onnx", "torch", "triton_python_backend_utils"}


def _forget() -> None:
    for old in MOVED:
        package, _, name = old.rpartition(".")
        sys.modules.pop(old, None)
        vars(import_module(package)).pop(name, None)


@pytest.fixture
def _forgotten() -> Iterator[None]:
    """No old name is imported before a test, nor after it."""
    _forget()
    yield
    _forget()


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in _FRAMEWORKS:
            raise
        pytest.skip(f"{error.name} is not installed")


def _run(code: str, *options: str) -> str:
    result = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=list(MOVED))
def test_old_name(old: str, new: str) -> None:
    """An old name warns with the new one, and is the very module of the new one, however it is imported."""
    module = _import(new)
    with pytest.warns(DeprecationWarning, match=rf"^{old} is now {new}; import that$") as seen:
        assert import_module(old) is module
    assert len(seen) == 1
    assert module.__spec__ is not None
    assert module.__name__ == module.__spec__.name == new
    assert module.__spec__.loader is module.__loader__

    package, _, name = old.rpartition(".")
    assert getattr(import_module(package), name) is module
    public = next(each for each in vars(module) if not each.startswith("_"))
    scope: dict[str, object] = {}
    exec(f"from {package} import {name}\nfrom {old} import {public} as it", scope)
    assert scope[name] is module
    assert scope["it"] is getattr(module, public)


@pytest.mark.usefixtures("_forgotten")
def test_attribute_of_a_package() -> None:
    """A module that its package once imported is an attribute of it still, by the old name too, which warns."""
    with pytest.warns(DeprecationWarning, match=r"^onepass.gaze.tracker is now onepass.gaze.video.tracker; "):
        assert onepass.gaze.tracker.GazeTracker is onepass.gaze.GazeTracker
    assert onepass.gaze.geometry.__name__ == "onepass.gaze.geometry"


@pytest.mark.parametrize(
    "line",
    [
        "import onepass.gaze.tracker",
        "from onepass.gaze import tracker",
        "from onepass.gaze.tracker import GazeTracker",
        "import onepass.gaze; onepass.gaze.tracker",
        "import importlib; importlib.import_module('onepass.gaze.tracker')",
    ],
)
def test_the_warning_is_of_the_line_that_has_the_old_name(line: str, tmp_path: Path) -> None:
    """Python shows the warning to whoever runs a script with an old name, with that line, however it imports it."""
    script = tmp_path / "script.py"
    script.write_text(f"pass\n{line}\n")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert f"{script}:2: DeprecationWarning: onepass.gaze.tracker is now onepass.gaze.video.tracker" in result.stderr


def test_reload() -> None:
    """A module that was imported by its old name can be reloaded, and is that of the new name still."""
    code = f"""
import importlib, warnings
warnings.simplefilter("ignore", DeprecationWarning)
for old, new in {MOVED}.items():
    try:
        module = importlib.import_module(old)
    except ModuleNotFoundError as error:
        assert error.name in {_FRAMEWORKS}, error
        continue
    assert importlib.reload(module) is module is importlib.import_module(new), old
    assert module.__spec__.name == new
    print(old)
"""
    assert "onepass.gaze.tracker" in _run(code).split()


def test_the_warning_is_shown_where_the_import_stands() -> None:
    """Python shows the warning to whoever runs a script that uses an old name, with the line."""
    result = subprocess.run(
        [sys.executable, "-c", "import onepass.engine.options"], capture_output=True, text=True, check=True
    )
    assert result.stderr.startswith("<string>:1: DeprecationWarning: onepass.engine.options is now")


@pytest.mark.parametrize("name", ["onepass.never", "onepass.gaze.never", "onepass.gaze.tracker.never"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_name_that_never_was(name: str) -> None:
    """A name that never existed is a ModuleNotFoundError, as for any module, and no attribute either."""
    with pytest.raises(ModuleNotFoundError, match=f"'{name}'"):
        import_module(name)
    package, _, last = name.rpartition(".")
    assert not hasattr(import_module(package), last)


def test_rows() -> None:
    """Old names are of no module of today, new ones are; a package that moved has a row for each of its modules."""
    source = _ROOT / "src"
    for old, new in MOVED.items():
        assert not source.joinpath(*old.split(".")).with_suffix(".py").exists(), old
        assert not source.joinpath(*old.split(".")).exists(), old
        package = source.joinpath(*new.split("."))
        assert package.with_suffix(".py").is_file() or (package / "__init__.py").is_file(), new
        for module in package.glob("[!_]*.py"):
            assert MOVED[f"{old}.{module.stem}"] == f"{new}.{module.stem}"


@pytest.mark.filterwarnings("ignore:onepass.gaze.shown:DeprecationWarning")
def test_a_package_that_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package under its old name has the very modules that it has under the new one."""
    for name in ("", ".columns"):
        monkeypatch.setitem(MOVED, f"onepass.gaze.shown{name}", f"onepass.gaze.show{name}")
    from onepass.gaze.show import columns

    assert import_module("onepass.gaze.shown.columns") is columns
    assert import_module("onepass.gaze.shown").columns is columns
    for name in ("", ".columns"):
        del sys.modules[f"onepass.gaze.shown{name}"]


def test_nothing_of_ours_warns() -> None:
    """Everything public can be imported and used with these warnings as errors: none of it uses an old name."""
    paths = [file.relative_to(_ROOT / "src").with_suffix("") for file in _OURS if file.is_relative_to(_ROOT / "src")]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    public = [name for name in modules if "._" not in name]
    code = f"""
import importlib
for name in {public}:
    try:
        module = importlib.import_module(name)
        for each in getattr(module, "__all__", ()):
            getattr(module, each)
        print(name)
    except ModuleNotFoundError as error:
        assert error.name in {_FRAMEWORKS}, error
"""
    used = _run(code, "-W", "error:onepass:DeprecationWarning").split()  # those of others are not our concern
    assert {"onepass", "onepass.gaze", "onepass.gaze.video.tracker", "onepass.cli.run"} <= set(used)


def test_no_file_of_ours_imports_an_old_name() -> None:
    """No file imports a module by its old name, not even in a function that no other test calls."""
    found = {str(file.relative_to(_ROOT)): sorted(_imported(file) & set(MOVED)) for file in _OURS}
    assert {file: names for file, names in found.items() if names} == {}


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return names
