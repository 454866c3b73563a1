"""``onepass compare`` as a person meets it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import Shell
from tests.zoo import BY_NAME, model

_BODY = """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {{
    k = Constant <value_float = {}> ()
    h = Mul (x, k)
    y = Tanh (h)
    z = Abs (x)
}}"""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two models, one output of which differs."""
    files = tmp_path / "first.onnx", tmp_path / "second.onnx"
    for file, factor in zip(files, ("1.0", "1.5"), strict=True):
        model(_BODY.format(factor)).save(file)
    return files


def test_agreement_is_status_0(shell: Shell, pair: tuple[Path, Path]) -> None:
    """A model agrees with itself: every output is listed, and the status is 0."""
    text = shell("compare", pair[0], pair[0], "--random", 2, "--edges")
    rows = {line.split()[0]: line for line in text.splitlines() if "float32" in line}
    assert list(rows) == ["y", "z"]
    assert all(row.rstrip().endswith("ok") for row in rows.values())
    assert text.endswith("\nwithin tolerance\n")
    assert "9 cases" in text


def test_a_difference_is_status_1(shell: Shell, pair: tuple[Path, Path]) -> None:
    """A broken output is named with its worst element, and the status is 1."""
    status, text, err = shell.run("compare", *pair)
    assert (status, err) == (1, "")
    assert "BROKEN" in text
    assert "y: 16 of 16 elements out of tolerance (0.0001 + 0.001 × |first|); worst:" in text
    assert text.endswith("out of tolerance: y\n")
    assert shell("compare", *pair, "--atol", "y=2").endswith("within tolerance\n")
    assert shell("compare", *pair, "--output", "z").endswith("within tolerance\n")
    assert shell("compare", *pair, "--agreement", "y=0").endswith("within tolerance\n")


def test_json_and_report(shell: Shell, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """--json has every figure; --html is one file that loads nothing from elsewhere."""
    report = tmp_path / "new" / "report.html"
    status, text, _ = shell.run("compare", *pair, "--json", "--bisect", "--html", report)
    facts = json.loads(text)
    assert status == 1
    assert facts["passed"] is False
    assert [output["passed"] for output in facts["outputs"]] == [False, True]
    assert facts["bisection"]["first"]["tensor"] == "k"
    assert facts["bisection"]["keep"] == ["k"]
    page = report.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "http" not in page
    assert "src=" not in page


def test_bisect(shell: Shell, pair: tuple[Path, Path]) -> None:
    """--bisect names the first tensor that differs and what to keep."""
    status, text, _ = shell.run("compare", *pair, "--bisect")
    assert status == 1
    assert "first tensor with a relative error above 0.0001: k (Constant)" in text
    assert "with 1 node kept from the first model, every output is within tolerance; keep:\n  k\n" in text
    assert "nothing to search for" in shell("compare", pair[0], pair[0], "--bisect")


def test_inputs_of_ones_own(shell: Shell, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Files, and a folder of files, are cases of their own."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for index in range(2):
        np.savez(folder / f"{index}.npz", x=np.full((index + 1, 4), index, np.float32))
    facts = json.loads(shell("compare", pair[0], pair[0], "-i", f"x={folder / '1.npz'}", "--inputs", folder, "--json"))
    assert facts["cases"] == ["1.npz", "0.npz", "1.npz"]


def test_messages(shell: Shell, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """What is wrong on the command line, or with a model, is said with what to do."""
    first = pair[0]
    assert "no model file at" in shell.fails("compare", first, tmp_path / "none.onnx")
    assert "expected a number, or OUTPUT=NUMBER" in shell.fails("compare", first, first, "--atol", "y=much")
    assert "expected a number ≥ 0" in shell.fails("compare", first, first, "--rtol", "-1")
    assert "no output 'yy'" in shell.fails("compare", first, first, "--atol", "yy=1")
    assert "expected NAME_IN_FIRST=NAME_IN_SECOND" in shell.fails("compare", first, first, "--match", "y")
    assert "--threshold requires --bisect" in shell.fails("compare", first, first, "--threshold", 1)
    assert "--size and --shape are for random inputs" in shell.fails(
        "compare", first, first, "--inputs", tmp_path, "--size", "N=2"
    )
    assert "provider 'cuda' is not available" in shell.fails("compare", first, f"{first}@cuda")


def test_odd_numbers(shell: Shell, tmp_path: Path) -> None:
    """NaNs and infinities are counted for each model; outputs that one model lacks are listed."""
    model("(float[N] x) => (float[N] y, float[N] w) { y = Log (x) \n w = Abs (x) }").save(tmp_path / "a.onnx")
    model("(float[N] x) => (float[N] y) { z = Abs (x) \n y = Log (z) }").save(tmp_path / "b.onnx")
    np.save(tmp_path / "x.npy", np.array([-1, 0, 1], np.float32))
    status, text, _ = shell.run("compare", tmp_path / "a.onnx", tmp_path / "b.onnx", "-i", tmp_path / "x.npy")
    assert status == 1
    assert "y: NaNs: 1 in the first model, 0 in the second; infinities: 1 and 1" in text
    assert f"only in {tmp_path / 'a.onnx'}: w" in text
    assert text.endswith("out of tolerance: y, w\n")


def test_many_outputs(shell: Shell, tmp_path: Path) -> None:
    """A model with 32 outputs has 32 rows, in its own order."""
    BY_NAME["32 outputs"].graph.save(tmp_path / "m.onnx")
    text = shell("compare", tmp_path / "m.onnx", tmp_path / "m.onnx")
    assert [line.split()[0] for line in text.splitlines() if "float32" in line] == [f"out{i}" for i in range(32)]
