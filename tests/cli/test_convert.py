"""``onepass convert``: what is printed, and what the words of the command become."""

import json
from pathlib import Path

import pytest

from onepass import InputError, OnnxGraph
from onepass.formats import Format
from onepass.source import framework
from onepass.source.framework import Framework
from onepass.source.frameworks.gazeml import ElgSize
from tests.cli.shell import Shell
from tests.source.bundles import elg_variables, write_gazeml
from tests.source.networks import two_heads


def test_what_is_printed(shell: Shell, tmp_path: Path) -> None:
    """Where the model is, who opened the source, and every output with its error."""
    text = shell("convert", two_heads(tmp_path / "in.onnx"), "-o", tmp_path / "out.onnx")
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][0] == f"{tmp_path / 'out.onnx'}:"
    assert lines[1] == ["opened", "by", "ONNX", "opset", "17"]
    assert ["wide", "float32", "[N,", "6]", "exact"] in lines
    assert ["narrow", "float32", "[N,", "6]", "exact"] in lines


def test_words_of_the_command(shell: Shell, tmp_path: Path) -> None:
    """Outputs, names, batch and opset arrive; what is not verified says so, on the screen and in the file."""
    source, target = two_heads(tmp_path / "in.onnx", opset=13), tmp_path / "out.onnx"
    words = ("--outputs", "narrow", "--outputs", "wide", "--output-names", "b", "--output-names", "a",
             "--batch", "4", "--opset", "18", "--target", "tensorrt", "--no-verify")  # fmt: skip
    text = shell("convert", source, "-o", target, *words)
    assert text.count("not verified") == 2
    graph = OnnxGraph.load(target)
    assert [(spec.name, spec.shape) for spec in graph.signature.outputs] == [("b", (4, 6)), ("a", (4, 6))]
    assert graph.opset == 18
    assert graph.metadata["onepass.verified"] == "not verified"


def test_json(shell: Shell, tmp_path: Path) -> None:
    """The same as JSON, for programs."""
    facts = json.loads(shell("convert", two_heads(tmp_path / "in.onnx"), "-o", tmp_path / "o.onnx", "--json"))
    assert [spec["name"] for spec in facts["outputs"]] == ["wide", "narrow"]
    assert [error["max_abs"] for error in facts["errors"]] == [0, 0]
    assert facts["path"] == str(tmp_path / "o.onnx")


def test_gazeml(shell: Shell, tmp_path: Path) -> None:
    """GazeML's weights may be announced as such."""
    name = "ELG_i20x12_f20x12_n4_m2"
    folder = write_gazeml(tmp_path / name, elg_variables(ElgSize.from_folder_name(Path(name))))
    text = shell("convert", "gazeml", folder, "-o", tmp_path / "elg.onnx")
    assert "opened by GazeML" in text
    assert OnnxGraph.load(tmp_path / "elg.onnx").signature.output_names == ("heatmaps", "landmarks", "radius")


def test_mistakes(shell: Shell, tmp_path: Path) -> None:
    """A wrong word is an error of usage; the source is not overwritten where no other name is given."""
    source = two_heads(tmp_path / "in.onnx")
    assert "'many': expected a whole number ≥ 1, or dynamic" in shell.fails("convert", source, "--batch", "many")
    assert "from 7 to 25, got 0" in shell.fails("convert", source, "--opset", "0")
    assert "is the source itself; choose another name for the result" in shell.fails("convert", source)
    assert "no model file at" in shell.fails("convert", tmp_path / "absent")
    assert "expected one model, got 2" in shell.fails("convert", source, tmp_path / "more.onnx")
    assert "is an ONNX model; expected a folder of GazeML weights" in shell.fails("convert", "gazeml", source)


def test_where_the_model_goes_unasked(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the source, under its name; a folder's name is taken whole, and the folder one is in has a name, too."""
    monkeypatch.setattr("onepass.cli.convert.convert", _target)
    (tmp_path / "eyes.v2").mkdir()
    monkeypatch.chdir(tmp_path / "eyes.v2")
    for source in (tmp_path / "eyes.v2", "."):
        assert shell.fails("convert", source) == f"onepass: {tmp_path / 'eyes.v2.onnx'}\n"
    assert shell.fails("convert", tmp_path / "eyes.v2.keras") == f"onepass: {tmp_path / 'eyes.v2.onnx'}\n"


def _target(source: Path, file: Path, **_words: object) -> None:
    raise InputError(str(file))


def test_other_commands_convert_what_they_are_given(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`compare` takes the source itself beside what was made of it."""
    odd = Framework("Odd", "tests.source.odd", extra="odd")
    monkeypatch.setattr(framework, "FRAMEWORKS", {Format.TFLITE: odd})
    beside = two_heads(tmp_path / "works.onnx")  # what `odd` opens in its place
    (tmp_path / "works.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(20))
    assert "within tolerance" in shell("compare", tmp_path / "works.tflite", beside, "--random", 1)
