"""Export: a clean graph with the promised names that computes what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")

from training import export  # noqa: E402
from training.export import ExportError, export_checkpoint, main  # noqa: E402

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

DATA = Path(__file__).resolve().parents[2] / "src" / "onepass" / "gaze" / "data"
BUNDLED = {"elg_120x72.onnx": (72, 120), "elg_60x36.onnx": (36, 60)}
CLEAN_OPERATIONS = {
    "Add", "Constant", "Conv", "Div", "Gemm", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Resize", "Softmax", "Sub",
}  # fmt: skip


def _dimensions(value: onnx.ValueInfoProto) -> list[int | str]:
    return [item.dim_param or item.dim_value for item in value.type.tensor_type.shape.dim]


def test_export_agrees_with_pytorch(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The file computes the network's outputs for one eye and for several."""
    report = export_checkpoint(checkpoint, tmp_path / "model.onnx")
    assert report.landmark_difference_px <= 0.05
    session = ort.InferenceSession(str(report.path), providers=["CPUExecutionProvider"])
    network = checkpoint.network()
    for count in (1, 3):
        eyes = np.random.default_rng(count).uniform(-1, 1, (count, 1, 36, 60)).astype(np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(eyes))
        for found, wanted in zip(session.run(None, {"eye": eyes}), expected, strict=True):
            assert np.allclose(found, wanted.numpy(), atol=0.05)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_export_names_shapes_and_facts(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Inputs and outputs have their names, order and free batch; the metadata says how to make the file again."""
    export_checkpoint(checkpoint, tmp_path / "model.onnx")
    model = onnx.load(str(tmp_path / "model.onnx"))
    assert [(value.name, _dimensions(value)) for value in model.graph.input] == [("eye", ["N", 1, 36, 60])]
    assert [(value.name, _dimensions(value)) for value in model.graph.output] == [
        ("heatmaps", ["N", 18, 18, 30]),
        ("landmarks", ["N", 18, 2]),
        ("radius", ["N", 1]),
    ]
    assert model.opset_import[0].version == 17
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert "--size 36x60 --batch 4 --seed 0" in facts["made_by"]
    assert '"images": 12' in facts["training"]
    assert {node.op_type for node in model.graph.node} <= CLEAN_OPERATIONS


def test_a_continued_training_lists_both_commands(checkpoint: Checkpoint) -> None:
    """The commands of a continued training begin with the first one."""
    training = {**checkpoint.training, "seed": 5, "continued_from": checkpoint.training}
    commands = export._commands(36, 60, training).split("; ")
    assert len(commands) == 3
    assert "--seed 0" in commands[0]
    assert "--init runs/0/checkpoint.pt" in commands[1]
    assert commands[2].startswith("python -m training.export runs/1/checkpoint.pt")


def test_a_stretch_in_float32_says_so(checkpoint: Checkpoint) -> None:
    """On a GPU float32 is a choice, which the commands repeat."""
    first = {**checkpoint.training, "device": "NVIDIA H100", "float32": False}
    commands = export._commands(36, 60, {**first, "float32": True, "continued_from": first}).split("; ")
    assert "--device cuda --compile --jitter" in commands[0]
    assert "--device cuda --compile --float32 --jitter" in commands[1]


def test_a_large_file_is_refused(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the limit is not written."""
    monkeypatch.setattr(export, "SIZE_LIMIT_BYTES", 1000)
    with pytest.raises(ExportError, match="at most 1000"):
        export_checkpoint(checkpoint, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", ["heatmaps", "landmarks", "radius"])
def test_disagreement_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """A graph that computes something else in any of its outputs is not written."""
    differences = {"heatmaps": 0.0, "landmarks": 0.0, "radius": 0.0, output: 1.0}
    monkeypatch.setattr(export, "_differences", lambda *_: differences)
    with pytest.raises(ExportError, match=rf"{output} are 1\.0000 from PyTorch's"):
        export_checkpoint(checkpoint, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_command_line(checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the file and reports its size and its distance from PyTorch."""
    checkpoint.save(tmp_path / "checkpoint.pt")
    assert main([str(tmp_path / "checkpoint.pt"), "-o", str(tmp_path / "model.onnx")]) == 0
    assert "largest difference to PyTorch" in capsys.readouterr().out
    assert (tmp_path / "model.onnx").is_file()


def test_what_is_no_checkpoint_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of another kind, an empty one, a torn one and none at all end in one message and status 2."""
    torch.save(torch.zeros(100), tmp_path / "tensor.pt")
    torn = (tmp_path / "tensor.pt").read_bytes()[:200]
    for name, content in {"text.pt": b"no weights", "empty.pt": b"", "torn.pt": torn}.items():
        (tmp_path / name).write_bytes(content)
    for name, message in {
        "text.pt": "text.pt is not a checkpoint; expected a checkpoint.pt",
        "empty.pt": "empty.pt is not a checkpoint",
        "torn.pt": "torn.pt is not a checkpoint",
        "tensor.pt": "tensor.pt: checkpoint format None, expected 1",
        "none.pt": "No such file",
    }.items():
        assert main([str(tmp_path / name), "-o", str(tmp_path / "model.onnx")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(("name", "size"), BUNDLED.items())
def test_bundled_weights(name: str, size: tuple[int, int]) -> None:
    """The weights that ship are small, clean, and say how they were made."""
    path = DATA / name
    assert path.stat().st_size <= 3_000_000
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert _dimensions(model.graph.input[0]) == ["N", 1, *size]
    assert [value.name for value in model.graph.output] == ["heatmaps", "landmarks", "radius"]
    assert {node.op_type for node in model.graph.node} <= CLEAN_OPERATIONS
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["licence"] == "Apache-2.0"
    assert "training.train" in facts["made_by"]
