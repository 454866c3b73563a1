"""What to install: requirements by name, and the TensorRT that fits the driver."""

from __future__ import annotations

import ast
import ctypes
import importlib.metadata
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from onepass import _packages
from onepass._packages import builder_command, install_command, tensorrt_command, tensorrt_command_here
from onepass.engine.flavor import NAMES

_ROOT = Path(__file__).parents[2]
_METADATA = [
    "numpy>=1.26",
    'av>=17.1; extra == "gaze"',
    'opencv-python-headless<5,>=4.8; extra == "gaze"',
    'onepass[gaze]; extra == "page"',
    "uvloop>=0.21; sys_platform != 'win32' and extra == \"page\"",
    'colorama; python_version < "3" and extra == "page"',
    'ray[data]<2.64,>=2.50; extra == "batch"',
    'onepass[page,batch]; extra == "all"',
]
_GAZE = ["av>=17.1", "opencv-python-headless<5,>=4.8"]


@pytest.mark.parametrize(
    ("extras", "expected"),
    [
        ("gaze", _GAZE),
        ("page", [*_GAZE, "uvloop>=0.21"]),
        ("batch", ["ray[data]<2.64,>=2.50"]),
        ("gaze,page", [*_GAZE, "uvloop>=0.21"]),
        ("all", ["ray[data]<2.64,>=2.50", *_GAZE, "uvloop>=0.21"]),
    ],
)
def test_an_extra_is_its_requirements(extras: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell sees the extra's requirements, each once: inner extras resolved, markers evaluated, and no onepass."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(_packages, "requires", lambda name: _METADATA if name == "onepass" else [])
    assert shlex.split(install_command(extras)) == ["pip", "install", *expected]


def test_a_source_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without metadata, the command is the one for the source tree."""

    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_packages, "requires", missing)
    assert install_command("gaze,page") == "pip install '.[gaze,page]' in onepass's source tree"


def _extras_in_code() -> set[str]:
    """Return every extra that the package asks for: ``extra="gaze"`` and ``install_command("gaze")``."""
    found = set()
    for file in (_ROOT / "src").rglob("*.py"):
        for call in (
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ):
            values = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
            if isinstance(call.func, ast.Name) and call.func.id == "install_command":
                values += call.args
            found |= {str(value.value) for value in values if isinstance(value, ast.Constant)}
    return found


@pytest.mark.parametrize("extras", sorted(_extras_in_code()))
def test_extras_that_messages_name(extras: str) -> None:
    """Each extra that the code names has requirements in the installed metadata, which pip can parse."""
    program, verb, *requirements = shlex.split(install_command(extras))
    assert (program, verb) == ("pip", "install")
    assert requirements
    assert all(Requirement(each).name != "onepass" for each in requirements)


def test_no_text_installs_a_stranger_s_package() -> None:
    """No message, page or script installs onepass from an index: the name there could be anybody's."""
    named = re.compile(r"""pip3? install(?: +(?!['"]?\.)[^ `#]+)*? +['"]?onepass(?![\w/.-])|(?<!/)onepass\[[a-z]""")
    folders = ("src/onepass", "docs", "tests", "examples", "benchmarks", "training", "cpp")
    suffixes = {".py", ".md", ".toml", ".txt", ".sh", ".html", ".js", ".yml", ".json"}
    files = [file for folder in folders for file in (_ROOT / folder).rglob("*") if file.suffix in suffixes]
    files += [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", _ROOT / "CHANGELOG.md", _ROOT / "Makefile"]
    found = [
        f"{file.relative_to(_ROOT)}:{number}: {line}"
        for file in files
        if file != Path(__file__) and "_build" not in file.parts
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if named.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "cuda", "command"),
    [
        ("tensorrt", 13, "pip install tensorrt-cu13 --extra-index-url https://pypi.nvidia.com"),
        ("tensorrt", 12, "pip install tensorrt-cu12 --extra-index-url https://pypi.nvidia.com"),
        ("tensorrt", None, "pip install tensorrt-cu13 --extra-index-url https://pypi.nvidia.com"),
        ("tensorrt_lean", 12, "pip install tensorrt-lean-cu12 --extra-index-url https://pypi.nvidia.com"),
        ("tensorrt_rtx", 12, "pip install tensorrt-rtx-cu12"),
    ],
)
def test_the_tensorrt_for_a_driver(module: str, cuda: int | None, command: str) -> None:
    """The package's name has the CUDA that the driver supports; without a driver it is the newest."""
    assert module in NAMES
    assert tensorrt_command(module, cuda=cuda, jetson=False) == command
    assert tensorrt_command(module, cuda=cuda, jetson=True) == "sudo apt install nvidia-jetpack"


class _Libcuda:
    """A driver's library that reports one version, as ``cuDriverGetVersion`` does; 0 stands for a failure."""

    def __init__(self, version: int) -> None:
        self._version = version

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802 - CUDA's name
        number._obj.value = self._version
        return 0 if self._version else 999


@pytest.mark.parametrize(
    ("version", "package"), [(12040, "tensorrt-cu12"), (13000, "tensorrt-cu13"), (0, "tensorrt-cu13")]
)
def test_the_tensorrt_for_this_driver(version: int, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver is asked here, so that `build` and `doctor` give the same advice."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: _Libcuda(version))
    monkeypatch.setattr(_packages, "is_jetson", lambda: False)
    assert f"pip install {package} " in tensorrt_command_here()
    assert tensorrt_command_here() in builder_command()


def test_on_a_jetson(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Jetson has its TensorRT from JetPack, and nothing else is offered."""
    monkeypatch.setattr(_packages, "is_jetson", lambda: True)
    assert builder_command() == tensorrt_command_here() == "sudo apt install nvidia-jetpack"
