"""``onepass build``, ``cache`` and ``inspect`` of engines, as a person meets them, on stand-ins of TensorRT."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from onepass.cli import build as build_module
from onepass.cli._tables import console
from onepass.engine import read_sidecar, sidecar_path
from tests.cli.shell import Shell
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.runtime.gpu import fake_gpu
from tests.zoo import BY_NAME, model


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the three-headed model, and a cache that is the test's own."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path / "cache"))
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


@pytest.fixture
def trt8() -> Iterator[None]:
    """TensorRT 8.5."""
    with fake_gpu("8.5.3"):
        yield


def test_build(shell: Shell, three: Path, trt8: None) -> None:
    """The engine lies beside the model; what it takes and gives is printed in the model's order."""
    text = shell("build", three, "--batch", "1:4:8", "--tf32", "--workspace", 3000)
    lines = text.splitlines()
    assert lines[0].startswith(f"{three.with_suffix('.engine')}: ")
    assert lines[1].startswith("tensorrt 8.5.3")
    outputs = text.partition("outputs")[2]
    assert [line.split()[0] for line in outputs.splitlines()[2:]] == ["zebra", "ant", "monkey"]
    assert "1x4:4x4:8x4" in text
    plan = read_sidecar(three.with_suffix(".engine"))
    assert plan is not None
    assert plan.options["workspace_bytes"] == 3000 << 20
    assert plan.options["tf32"] is True


def test_trtexec_words(shell: Shell, three: Path, trt8: None) -> None:
    """Shapes as trtexec has them make one profile; what is missing of the three is as the next one that is there."""
    shapes = ("--min-shapes", "x=1x4", "--max-shapes", "x=8x4")
    facts = json.loads(shell("build", three, "-o", three.with_name("a.engine"), *shapes, "--json"))
    assert facts["engine"] == str(three.with_name("a.engine"))
    assert facts["cached"] is False
    assert facts["profiles"][0]["shapes"]["x"] == [[1, 4], [8, 4], [8, 4]]
    facts = json.loads(shell("build", three, "--opt-shapes", "x=3x4", "--tactic-sources", "CUBLAS, CUDNN", "--json"))
    assert facts["profiles"][0]["shapes"]["x"] == [[3, 4], [3, 4], [3, 4]]
    assert facts["options"]["tactic_sources"] == ["CUBLAS", "CUDNN"]


def test_cache(shell: Shell, three: Path, trt8: None) -> None:
    """A second build of the same is taken from the cache, which can be listed and emptied."""
    assert "0 engines" in shell("cache", "list")
    assert "built in" in shell("build", three, "--batch", 2, "--cache")
    assert "from the cache" in shell("build", three, "--batch", 2, "--cache")
    assert "built in" in shell("build", three, "--batch", 3, "--cache")
    listed = json.loads(shell("cache", "list", "--json"))
    assert len(listed["engines"]) == 2
    text = shell("cache", "list")
    assert "2 engines" in text
    for entry in listed["engines"]:
        assert entry["key"][:12] in text
    assert "freed" in shell("cache", "clear")
    assert json.loads(shell("cache", "list", "--json"))["engines"] == []
    assert three.with_suffix(".engine").is_file()  # the engine that was asked for is not the cache's


def test_inspect(shell: Shell, three: Path) -> None:
    """An engine is described by its sidecar where there is no GPU; with one its layers are listed."""
    engine = three.with_suffix(".engine")
    with fake_gpu("10.16.1"):
        shell("build", three, "--batch", "1:4:8")
        layered = shell("inspect", engine, "--layers")
        facts = json.loads(shell("inspect", engine, "--layers", "--json"))
    text = shell("inspect", engine)
    assert "built by tensorrt 10.16.1" in text
    assert "profile 0: x=1x4:4x4:8x4" in text
    assert text.index("zebra") < text.index("ant") < text.index("monkey")
    assert facts["layers"]
    assert all(layer["name"] in layered for layer in facts["layers"])
    assert "--layers requires an engine" in shell.fails("inspect", three, "--layers")


def test_inspect_without_a_sidecar(shell: Shell, three: Path) -> None:
    """An engine of another tool's is opened to be asked itself; one that does not match its sidecar is refused."""
    engine = three.with_suffix(".engine")
    with fake_gpu("10.16.1"):
        shell("build", three, "--batch", 2)
        sidecar = sidecar_path(engine).read_bytes()
        sidecar_path(engine).unlink()
        assert "zebra" in shell("inspect", engine)
        assert "--layers requires a sidecar" in shell.fails("inspect", engine, "--layers")
    sidecar_path(engine).write_bytes(sidecar)
    engine.write_bytes(engine.read_bytes() + b"more")
    assert str(engine) in shell.fails("inspect", engine)


def test_messages(shell: Shell, three: Path, trt8: None) -> None:
    """What is wrong with the words is said as a matter of the words, before anything is built."""
    assert "--shapes excludes --min-shapes" in shell.fails("build", three, "--shapes", "x=1x4", "--max-shapes", "x=8x4")
    assert "--batch" in shell.fails("build", three, "--batch", "1:x")
    assert "--shapes" in shell.fails("build", three, "--shapes", "1x4")
    assert "precision fp16 has no effect" in shell.fails("build", three, "--batch", 2, "--fp16")
    assert "input 'x'" in shell.fails("build", three)  # a dynamic batch needs a range
    assert not three.with_suffix(".engine").exists()


def test_no_builder(shell: Shell, three: Path) -> None:
    """A runtime that cannot build says so."""
    with fake_gpu("lean-11.4.0"):
        assert "cannot build" in shell.fails("build", three, "--batch", 2, "--flavor", "tensorrt_lean")


@pytest.mark.parametrize(("api", "shown"), [("10.16.1", "0%"), ("8.5.3", "building with tensorrt 8.5.3")])
def test_progress(shell: Shell, three: Path, monkeypatch: pytest.MonkeyPatch, api: str, shown: str) -> None:
    """On a terminal one sees how far the build is where TensorRT says it, and otherwise that it goes on."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, _environ={})
    shown_on = console
    monkeypatch.setattr(build_module, "console", lambda **on: terminal if on.get("stderr") else shown_on())
    with fake_gpu(api):
        shell("build", three, "--batch", 2, "--json")
        assert screen.getvalue() == ""
        shell("build", three, "--batch", 2)
    assert shown in screen.getvalue()


def test_values_with_fractions(shell: Shell, three: Path, trt8: None) -> None:
    """Numbers with fractions are read as values; that TensorRT takes none is said with the input's name."""
    said = shell.fails("build", three, "--values", "ratio=0.25:0.5:1.0").replace("\n", " ")
    assert "input 'ratio': 0.25:0.5:1.0 has fractions" in said
    assert "invalid range 'ratio=half'; expected NAME=MIN:OPT:MAX" in shell.fails(
        "build", three, "--values", "ratio=half"
    )


@pytest.mark.parametrize("api", ["8.5.3", "11.4.0"])
def test_dry_run(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: str) -> None:
    """What would be built is told, with how much is reduced, as the build itself tells it; nothing is written."""
    monkeypatch.setenv("COLUMNS", "80")
    weights = ", ".join("1" * 16)
    model(f"(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) <float[4, 4] w = {{{weights}}}> {{"
          " h = MatMul (x, w) \n y = Relu (h) \n z = Softmax (y) }").save(tmp_path / "m.onnx")  # fmt: skip
    words = ("build", tmp_path / "m.onnx", "--batch", "1:2:4", "--fp16")
    with fake_gpu(api) as (_, trt):
        text = shell(*words, "--dry-run")
        facts = json.loads(shell(*words, "--dry-run", "--json"))
        assert trt.builds == []
        assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
        built = json.loads(shell(*words, "--json"))
        assert "no input 'q'" in shell.fails("build", tmp_path / "m.onnx", "--shapes", "q=1x4", "--dry-run")
    assert "m.engine would be built by tensorrt" in text.replace("\n", "")
    assert "nodes: 2 in fp16, 1 in fp32" in text
    assert "1x4:2x4:4x4" in text
    assert facts["node_types"] == {"fp16": 2, "fp32": 1}
    assert {name: facts[name] for name in ("inputs", "outputs", "profiles", "options")} == {
        name: built[name] for name in ("inputs", "outputs", "profiles", "options")
    }
    assert facts["network_layers"] >= 3


def test_dry_run_without_a_gpu(shell: Shell, three: Path) -> None:
    """Where TensorRT has no builder the rest is told all the same, and why its parser could not be asked."""
    with installed(make_tensorrt("10.16.1", FakeCuda(devices=0))):
        text = shell("build", three, "--batch", 2, "--dry-run")
    assert "parser did not run: tensorrt 10.16.1 cannot build here; it needs an NVIDIA GPU" in text
    assert "zebra" in text


def test_refit(shell: Shell, three: Path, trt8: None) -> None:
    """Another file's weights go into the engine, or into one beside it; a message speaks of options."""
    other = three.with_name("other.onnx")
    BY_NAME["three heads"].graph.save(other)
    shell("build", three, "--batch", 2, "--refit")
    engine = three.with_suffix(".engine")
    text = shell("refit", engine, "--from", other)
    assert text == f"{engine}: {text.partition(': ')[2].partition(',')[0]}, weights of {other}\n"
    facts = json.loads(shell("refit", engine, "--from", other, "-o", three.with_name("b.engine"), "--json"))
    assert facts["engine"] == str(three.with_name("b.engine"))
    assert read_sidecar(three.with_name("b.engine")) is not None
    shell("build", three, "--batch", 2)
    assert "is not refittable; build it with onepass build --refit" in shell.fails(
        "refit", engine, "--from", other
    ).replace("\n", " ")


_INTERRUPTED = """
import os, signal, sys, threading
from onepass.cli import main
from tests.runtime.gpu import fake_gpu

with fake_gpu(sys.argv[1]) as (_, trt):
    build = trt.Builder.build_serialized_network

    def held(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(float(sys.argv[2]))
        return build(*arguments)

    trt.Builder.build_serialized_network = held
    main(["build", sys.argv[3], "--batch", "2"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal that a process could send itself there")
@pytest.mark.parametrize(("api", "seconds"), [("10.16.1", 0.3), ("8.5.3", 600)])
def test_interruption(three: Path, api: str, seconds: float) -> None:
    """Ctrl-C ends the command at once, where TensorRT cannot be stopped too, and leaves nothing behind."""
    words = [sys.executable, "-c", _INTERRUPTED, api, str(seconds), str(three)]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "onepass: interrupted")
    assert [file.name for file in three.parent.iterdir()] == [three.name]
