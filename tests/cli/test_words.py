"""The library speaks Python, and who typed a command reads that command's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import onepass
from onepass.cli import cli
from onepass.cli._words import in_words_of
from tests.cli.shell import Shell
from tests.runtime.gpu import fake_gpu
from tests.zoo import BY_NAME

_SOURCE = Path(onepass.__file__).parent
# Whose words these are.
_EXCUSED = {"cli"}


@pytest.mark.parametrize(("words", "message", "shown"), [
    ("build m.onnx", "say batch=(1, 8, 64).", "say --batch 1:8:64."),
    ("build m.onnx", "shapes={'x:0': ((1, 4), (8, 4), (64, 4))}, or", "--shapes x:0=1x4:8x4:64x4, or"),
    ("build m.onnx", "shapes={'x': (8, 3)}", "--shapes x=8x3"),
    ("build m.onnx", "values={'n': (least, best, greatest)}", "--values NAME=RANGE"),
    ("build m.onnx", "leave tf32=True out", "leave --tf32 out"),
    ("build m.onnx", "strip=True, or workspace_bytes= less", "--strip, or --workspace less"),
    ("build m.onnx", "timing_cache='a.cache'", "--timing-cache a.cache"),
    ("--debug build m.onnx", "batch=2", "--batch 2"),
    ("compare a b", "names={first: second}", "--match FIRST=SECOND"),
    ("convert m.pb", "verify=False writes it", "--no-verify writes it"),
    ("convert m.pb", "outputs=[...], or timeout_s= gives longer", "--outputs NAME, or --timeout gives longer"),
    ("convert m.pb", "give opset=17.", "give --opset 17."),
    ("gaze a.mp4", "smooth=False, fps=25.5", "--no-smooth, --fps 25.5"),
    ("run m.engine", "again: onepass.build(shapes=…)", "again: onepass build --shapes"),
    ("run m.engine", "by onepass.build(mark_all_outputs=True); then", "by onepass build --mark-all-outputs; then"),
])  # fmt: skip
def test_parameters_become_options(words: str, message: str, shown: str) -> None:
    """A parameter that the command has is called as the command calls it."""
    assert in_words_of(message, words.split(), cli) == shown


@pytest.mark.parametrize("message", [
    "'batch=1x' is no range", "model.onnx@batch=4", "cuda,batch=4", "omit weight_streaming_bytes=", "x == 3",
    "batch==3", "session.batch=3", "NAME=FILE", "https://host/path?batch=2", "onepass.load('m.onnx')",
    "onepass.convert(network, 'model.onnx')", "onepass.convert(net, example_inputs=(image,), batch=2)",
    "load(path, batch=2)", "onepass.build(quick=True)", "a-batch=2", "no model file at batch=8/model.onnx",
    "batch=8\\model.onnx is no model",
])  # fmt: skip
def test_anything_else_stays(message: str) -> None:
    """What the user wrote, what the command does not have, and calls that no command makes."""
    assert in_words_of(message, ["build", "m.onnx"], cli) == message


@pytest.mark.parametrize("words", [
    ("run", "my batch=3.onnx"), ("run", "m.onnx", "-i", "x=my batch=3.onnx"), ("bench", "my batch=3.onnx@threads=4"),
    ("run", "m.onnx", "--save=my batch=3.onnx"),
])  # fmt: skip
def test_what_the_user_typed_stays(words: tuple[str, ...]) -> None:
    """A name that the user gave is said as it was given, whatever it looks like."""
    assert "my batch=3.onnx is none" in in_words_of("my batch=3.onnx is none; batch=2 is", ["build", *words], cli)
    assert in_words_of("my batch=3.onnx is none; batch=2 is", ["build", "m.onnx"], cli).startswith("my --batch 3.onnx")


def test_what_another_library_said_stays() -> None:
    """The words of ONNX Runtime or TensorRT within a message are theirs."""
    said = "ONNX Runtime cannot run it: Node (batch=3) failed. Try batch=2"
    assert in_words_of(said, ["build", "m.onnx"], cli, foreign="Node (batch=3) failed") == said.replace(
        "Try batch=2", "Try --batch 2"
    )


def test_messages_of_commands(shell: Shell, tmp_path: Path) -> None:
    """One reads of options that there are, in an example that would be understood."""
    three = tmp_path / "three.onnx"
    BY_NAME["three heads"].graph.save(three)
    with fake_gpu("8.5.3"):
        assert "such as --batch 1:8:64, or --shapes x=1x4:8x4:64x4" in shell.fails("build", three)
        shell("build", three, "--shapes", "x=1x4:8x4:64x4")
        message = shell.fails("run", three.with_suffix(".engine"), "--random", "--size", "N=99")
        assert "build the engine with a larger range: onepass build --shapes" in message


# ---- the library itself ----------------------------------------------------------------------------------------------


def _commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(inner)


def _texts(source: str) -> Iterator[str]:
    """Yield the texts in a module that are no docstrings."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def options_in(source: str) -> set[str]:
    """Return the options of onepass's commands that a module speaks of; those of pip and docker are none."""
    known = {
        word
        for command in _commands(cli)
        for each in command.params
        for word in (*each.opts, *each.secondary_opts)
        if word.startswith("--")
    }
    return known & {word for text in _texts(source) for word in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)}


_MODULES = [file for file in sorted(_SOURCE.rglob("*.py")) if file.relative_to(_SOURCE).parts[0] not in _EXCUSED]


@pytest.mark.parametrize("file", _MODULES, ids=lambda file: str(file.relative_to(_SOURCE)))
def test_the_library_speaks_python(file: Path) -> None:
    """No message of the library has a word that only a command line understands."""
    assert not options_in(file.read_text("utf-8"))


@pytest.mark.parametrize(("source", "found"), [
    ("raise ValueError('say --batch')", {"--batch"}), ("x = f'{name}: or `--shapes {name}=1`'", {"--shapes"}),
    ("x = 'pip install --force-reinstall onnx'", set()), ('def f():\n    "Is --batch."', set()),
])  # fmt: skip
def test_words_of_the_command_line_are_found(source: str, found: set[str]) -> None:
    """The test above can fail; docstrings, and options of other programs, are let through."""
    assert options_in(source) == found
