"""``onepass bench`` as a person meets it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onepass._packages import install_command
from onepass.bench import Benchmark, Latency, Row
from onepass.cli._bench_tables import print_benchmark
from onepass.cli._tables import console
from onepass.media import read_picture
from tests.cli.shell import Shell
from tests.runtime.gpu import fake_gpu
from tests.zoo import BY_NAME

_ROW = Row("m.onnx", 1, 1, Latency(2e-3, 2e-3, 3e-3, 1e-3, 2e-3, 89), 500.0, None)
_QUICK = ("--seconds", 0.2, "--cold", 0)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


def test_table(shell: Shell, three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model and batch has a row, with its ratio to the first."""
    monkeypatch.chdir(three.parent)
    text = shell("bench", three.name, f"{three.name}@threads=2", "--batch", "1,4", *_QUICK)
    table = text.partition("milliseconds per call\n")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith(("three.onnx", "  batch"))]
    assert [row.partition("  median")[0] for row in rows] == [
        row for batch in "14" for name in ("three.onnx", "three.onnx@threads=2") for row in (name, f"  batch {batch}")
    ]
    assert "vs. first" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "2 threads" in text


def test_json_and_chart(shell: Shell, three: Path, tmp_path: Path) -> None:
    """--json has every figure; --chart draws."""
    facts = json.loads(shell("bench", three, "--json", "--chart", tmp_path / "new" / "c.svg", "--seconds", 0.2))
    assert facts["rows"][0]["median_ms"] > 0
    assert facts["models"][0]["cold_start_ms"] > facts["models"][0]["load_ms"] > 0
    assert facts["machine"]["cores"]
    assert (tmp_path / "new" / "c.svg").read_text().startswith("<svg")
    text = shell("bench", three, "--chart", tmp_path / "c.html", *_QUICK)
    assert text.endswith(f"written to {tmp_path / 'c.html'}\n")
    shell("bench", three, f"{three}@threads=2", "--batch", "1,4", "--chart", tmp_path / "c.png", *_QUICK)
    assert read_picture(tmp_path / "c.png").shape == (675, 1350, 3)


def test_inputs(shell: Shell, three: Path, tmp_path: Path) -> None:
    """Inputs of one's own have a batch of their own."""
    np.save(tmp_path / "x.npy", np.ones((3, 4), np.float32))
    facts = json.loads(shell("bench", three, "-i", tmp_path / "x.npy", "--json", *_QUICK))
    assert [row["batch"] for row in facts["rows"]] == [3]


def test_messages(shell: Shell, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong on the command line is said before anything is measured."""
    assert "expected whole numbers ≥ 1" in shell.fails("bench", three, "--batch", "1,x")
    assert "a name ending in .svg, .png or .html" in shell.fails("bench", three, "--chart", tmp_path / "c.pdf")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert install_command("chart") in shell.fails("bench", three, "--chart", tmp_path / "c.png")
    assert "the files set all sizes" in shell.fails("bench", three, "-i", "x.npy", "--batch", "2")
    assert "is given twice" in shell.fails("bench", three, three, *_QUICK)
    assert "no model file at" in shell.fails("bench", tmp_path / "none.onnx", *_QUICK)
    assert "missing argument MODEL" in shell.fails("bench")


def test_engine(shell: Shell, three: Path, tmp_path: Path) -> None:
    """The parts of an engine's call have trtexec's names, in the table and on the page."""
    with fake_gpu("10.16.1"):
        shell("build", three, "--batch", "1:4:8")
        text = shell("bench", three.with_suffix(".engine"), "--chart", tmp_path / "c.html", *_QUICK)
    for name in ("GPU compute time", "enqueue time", "H2D latency", "D2H latency"):
        assert name in text
    assert "gpu compute ms" in (tmp_path / "c.html").read_text()


def test_cold_start(shell: Shell, three: Path, tmp_path: Path) -> None:
    """Cold start, load and memory have a table of their own, and a section of the page."""
    text = shell("bench", three, "--seconds", 0.2, "--cold", 1, "--chart", tmp_path / "c.html")
    assert "milliseconds to the first outputs" in text
    assert "Opening a model" in (tmp_path / "c.html").read_text()


def test_notes_are_grouped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of doubt is printed once, with what to do and the rows that it concerns, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    few = "uncertain p99: it is based on one of {} calls"
    rows = [
        replace(_ROW, batch=1, doubts=(few.format(89),)),
        replace(_ROW, batch=8, doubts=(few.format(63), "noise: half of the calls took 2 to 3 ms")),
        replace(_ROW, batch=64, callers=4),
    ]
    machine = {"processor": "CPU", "cores": 1, "system": "Linux"}
    busy = "busy machine: the load average was 3.5 on 2 cores before the measurement"
    reports = {"m.onnx": {"backend": "b", "device": "cpu"}}
    print_benchmark(console(), Benchmark(tuple(rows), {}, reports, machine, (busy,)), None)
    text = capsys.readouterr().out
    assert text.startswith("CPU, 1 core, Linux\n")
    assert text.partition("treat with caution\n")[2] == (
        f"{busy}\n"
        "uncertain p99; increase --seconds\n"
        "  m.onnx, batch 1: it is based on one of 89 calls\n"
        "  m.onnx, batch 8: it is based on one of 63 calls\n"
        "noise\n"
        "  m.onnx, batch 8: half of the calls took 2 to 3 ms\n"
    )


def test_callers_are_shown_where_they_differ(shell: Shell, three: Path) -> None:
    """The table has a column of callers only where there is more than one."""
    assert "callers  " not in shell("bench", three, *_QUICK)
    assert "callers 2  " in shell("bench", three, "--callers", "1,2", *_QUICK)


def test_layers(shell: Shell, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--layers prints each layer with its share, types and outputs within 80 columns, and draws them."""
    monkeypatch.setenv("COLUMNS", "80")
    with fake_gpu("8.5.3"):
        shell("build", three, "--batch", "1:2:4")
        engine = three.with_suffix(".engine")
        text = shell("bench", engine, "--layers", "--batch", 2)
        facts = json.loads(shell("bench", engine, "--layers", "--json", "--chart", tmp_path / "l.svg"))
        shell("bench", engine, "--layers", "--chart", tmp_path / "l.html")
        shell("bench", engine, "--layers", "--chart", tmp_path / "l.png")
        assert "one engine and one batch size at a time" in shell.fails("bench", engine, engine, "--layers")
    rows = [line.split() for line in text.partition("output  layer")[2].splitlines()[1:4]]
    assert rows == [["0.03", "50.0%", "fp32", "zebra", "Neg_zebra"], ["0.02", "33.3%", "fp32", "monkey", "Relu_monkey"],
                    ["0.01", "16.7%", "fp32", "ant", "ReduceSum_ant"]]  # fmt: skip
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines()[2:])
    assert "only zebra" in text
    assert [each["outputs"] for each in facts["layers"]] == [["ant"], ["monkey"], ["zebra"]]
    assert facts["by_output"]["zebra"] == pytest.approx(0.03)
    assert (tmp_path / "l.svg").read_text().startswith("<svg")
    assert "<h2>Outputs</h2>" in (tmp_path / "l.html").read_text()
    assert read_picture(tmp_path / "l.png").shape[2] == 3
    assert "is not a TensorRT engine" in shell.fails("bench", three, "--layers")
