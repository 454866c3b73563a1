"""Text that is not ours, on a terminal and in a log: it controls neither."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onepass.cli
from onepass import OnnxGraph
from onepass._printable import indented, printable
from onepass.engine.log import LOGGER_NAME, LogBook
from tests.cli.shell import Shell

_EVIL = "\x1b]0;t\x07\x1b[2J\x9b31m\r\b\x7f\u202egnp\u2066\u2028[red]x[/red]\nonepass: all is well"
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A model whose every name controls terminals, under a file name that does."""
    edges = [helper.make_tensor_value_info(_EVIL + end, TensorProto.FLOAT, [_EVIL, 2]) for end in "xy"]
    node = helper.make_node("Neg", [edges[0].name], [edges[1].name], name=_EVIL)
    proto = helper.make_model(helper.make_graph([node], _EVIL, edges[:1], edges[1:]), producer_name=_EVIL)
    helper.set_model_props(proto, {_EVIL: _EVIL})
    proto.ir_version, proto.opset_import[0].version = 9, 17
    path = tmp_path / "a\x1b[31m\nb.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_no_command_passes_control_on(evil: Path, shell: Shell, tmp_path: Path) -> None:
    """Whatever a command prints of such a model, on either stream, holds no control character, and no forged line."""
    target = tmp_path / "out\x1b[0m"
    commands: list[list[object]] = [
        ["inspect", evil], ["run", evil, "--random", "-o", target], ["run", evil], ["compare", evil, evil],
        ["compare", evil, evil, "--output", "absent"], ["bench", evil, "--cold", 0, "--seconds", 0.01],
        ["convert", evil, "-o", tmp_path / "c\x1b[0m.onnx"], ["build", evil, "--flavor", "tensorrt"],
        ["inspect", tmp_path / "absent\x1b[2J"], ["run", evil, "--absent\x1b[2J"], [_EVIL],
    ]  # fmt: skip
    for words in commands:
        _, out, err = shell.run(*words)
        assert _CONTROL.search(out + err) is None, words
        assert "\nonepass: all is well" not in out + err, words


def test_nothing_is_lost(evil: Path, shell: Shell) -> None:
    """What is shown says each character; JSON has the names as they are."""
    text = shell("inspect", evil)
    assert r"\x1b]0;t\x07\x1b[2J\x9b31m\r\x08\x7f\u202egnp\u2066\u2028[red]x[/red]\nonepass: all is well" in text
    facts = json.loads(shell("inspect", evil, "--json"))
    assert facts["outputs"][0]["name"] == f"{_EVIL}y"
    assert facts["metadata"] == {_EVIL: _EVIL}
    assert OnnxGraph.load(evil).signature.input_names == (f"{_EVIL}x",)


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A name with a newline forges no line of TensorRT's log: what follows is set in."""
    book = LogBook()
    with caplog.at_level(logging.WARNING, LOGGER_NAME):
        book.write("WARNING", "node a\n[ERROR] forged\x1b[2J")
    assert caplog.messages == ["node a\n  [ERROR] forged\\x1b[2J"]
    assert book.text() == "[WARNING] node a\n  [ERROR] forged\\x1b[2J"


@given(st.text())
def test_any_text(text: str) -> None:
    """No text gets through with a control character; ordinary letters of any language stay."""
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", printable(text))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printable(text, lines=True))
    assert not any(line[:1].strip() for line in indented(text).split("\n")[1:])
    if text.isprintable():
        assert printable(text) == text


def test_words_stay() -> None:
    """Letters of all languages, and pictures, are no control characters."""
    for text in ("Blick é ß", "名前", "שלום", "🙂 ½ …", "a b"):
        assert printable(text) == text
    assert printable("\udcff") == "\\udcff"


def test_one_way_to_the_terminal() -> None:
    """Rich's own console and its escape, which let control characters through, are used in one place only."""
    folder = Path(onepass.cli.__file__).parent
    users = {
        file.name
        for file in folder.glob("*.py")
        if re.search(r"Console\(|from rich(\.| import )markup", file.read_text())
    }
    assert users == {"_tables.py"}
