"""Files that are programs run only where the user says so: one rule for every command, in the same words everywhere."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import onepass
from onepass import UntrustedModelError
from onepass.bench import bench
from onepass.cli import cli
from onepass.compare import bisect, compare
from onepass.formats import PROGRAMS, Format, format_of
from onepass.opening import ModelChoice
from tests.cli.shell import Shell
from tests.zoo import BY_NAME

_DOCS = Path(__file__).parents[2] / "docs"


def _saved_model(path: Path) -> None:
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")


def _checkpoint(path: Path) -> None:
    path.mkdir()
    (path / "checkpoint").write_text("model_checkpoint_path: 'x'")


def _archive(*members: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for member in members:
                archive.writestr(member, "x")

    return write


_FILES: dict[Format, Callable[[Path], Any]] = {
    Format.SAVED_MODEL: _saved_model,
    Format.CHECKPOINT: _checkpoint,
    Format.FROZEN_GRAPH: lambda path: path.write_bytes(b"\x0a\x03\x0a\x01x"),
    Format.KERAS: _archive("config.json", "model.weights.h5"),
    Format.HDF5: lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40)),
    Format.TORCH_PROGRAM: _archive("a/models/model.json", "a/byteorder"),
    Format.TORCHSCRIPT: _archive("a/code/__torch__.py", "a/data.pkl"),
}


@pytest.fixture(params=_FILES, ids=lambda kind: kind.name)
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of each format that is a program, in a process that must not get as far as a framework."""
    monkeypatch.setattr("onepass.source._convert.export_in_process", _ran)
    monkeypatch.setattr("onepass.source._convert.environment_python", lambda framework: None)
    path = tmp_path / "network"
    _FILES[request.param](path)
    assert format_of(path) is request.param
    BY_NAME["three heads"].graph.save(tmp_path / "m.onnx")
    return path


def _ran(*arguments: object, **options: object) -> None:
    raise onepass.ConversionError("the framework ran")


class _Terminal(io.StringIO):
    """Standard input with someone at the keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody who answers."""

    def answers(text: str) -> None:
        monkeypatch.setattr("sys.stdin", _Terminal(text))
        monkeypatch.setattr("onepass.cli._trust._is_terminal", lambda: True)

    return answers


def test_every_program_is_tried() -> None:
    """A format that is added to the programs has a file here."""
    assert set(_FILES) == PROGRAMS


def test_the_library_refuses(program: Path, tmp_path: Path) -> None:
    """Converting, comparing and measuring refuse a program, and run it when they are told to."""
    model = tmp_path / "m.onnx"
    for trust, expected in ((False, UntrustedModelError), (True, onepass.ConversionError)):
        choice = ModelChoice(program, trust=trust)
        calls: list[Callable[[], object]] = [
            lambda trust=trust: onepass.convert(program, tmp_path / "out.onnx", trust=trust),  # type: ignore[misc]
            lambda choice=choice: compare(choice, model),  # type: ignore[misc]
            lambda choice=choice: compare(model, choice),  # type: ignore[misc]
            lambda choice=choice: bisect(choice, model, cases=[]),  # type: ignore[misc]
            lambda choice=choice: bench([model, choice], processes=0, seconds=0.01),  # type: ignore[misc]
        ]
        for call in calls:
            with pytest.raises(expected) as caught:
                call()
            assert type(caught.value) is expected
    assert not (tmp_path / "out.onnx").exists()


def _commands(program: Path) -> list[list[object]]:
    folder = program.parent
    return [
        ["convert", program, "-o", folder / "out.onnx"],
        ["compare", folder / "m.onnx", program],
        ["bench", program, "--cold", 0, "--seconds", 0.01],
    ]


def test_commands_refuse_and_say_how(program: Path, shell: Shell) -> None:
    """Without a terminal a command says what the file is, and which word lets it run; with the word, it runs."""
    for words in _commands(program):
        text = shell.fails(*words)
        assert re.search(r"opening such a file executes the code in it\. .* pass --trust$", text.strip())
        assert "the framework ran" in shell.fails(*words, "--trust")


def test_a_terminal_is_asked(program: Path, shell: Shell, terminal: Callable[[str], None]) -> None:
    """On a terminal the user is asked, and the answer counts."""
    for words in _commands(program):
        for answer, expected in (("n\n", "opening such a file"), ("y\n", "the framework ran"), ("\n", "pass --trust")):
            terminal(answer)
            text = shell.fails(*words)
            assert "Open it? [y/N]" in text
            assert expected in text.rpartition("[y/N]")[2]


def test_data_is_not_asked_about(shell: Shell, tmp_path: Path, terminal: Callable[[str], None]) -> None:
    """An ONNX model is no program; nobody is asked."""
    BY_NAME["three heads"].graph.save(tmp_path / "m.onnx")
    terminal("")
    assert "three" not in shell("convert", tmp_path / "m.onnx", "-o", tmp_path / "out.onnx").splitlines()[1]


def test_one_wording() -> None:
    """Help and docs/security.md say the rule in the same words."""
    sentence = "Files of TensorFlow, Keras and PyTorch are programs: opening one executes its code."
    assert sentence in " ".join((_DOCS / "security.md").read_text().split())
    for name in ("convert", "compare", "bench"):
        command = cli.commands.get(name) or cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert sentence in " ".join((command.help or "").split())
