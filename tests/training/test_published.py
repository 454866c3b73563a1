"""A published network can be trained further: nothing of it is lost on the way back to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")

from training.checkpoint import load_checkpoint  # noqa: E402
from training.export import export_checkpoint  # noqa: E402
from training.published import checkpoint_from_onnx, main  # noqa: E402

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

SMALL = Path(__file__).resolve().parents[2] / "src" / "onepass" / "gaze" / "data" / "elg_60x36.onnx"


def test_the_way_back_keeps_function_and_facts(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Export and back give the same outputs, size and facts."""
    export_checkpoint(checkpoint, tmp_path / "model.onnx")
    assert main([str(tmp_path / "model.onnx"), "-o", str(tmp_path / "again.pt")]) == 0
    again = load_checkpoint(tmp_path / "again.pt")
    assert again.config == checkpoint.config
    assert again.training == checkpoint.training
    eyes = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (3, 1, 36, 60)).astype(np.float32))
    with torch.no_grad():
        for found, expected in zip(again.network()(eyes), checkpoint.network()(eyes), strict=True):
            assert torch.allclose(found, expected, atol=2e-3)


def test_bundled_weights_come_back_normalised() -> None:
    """The bundled network keeps its outputs, and its normalisations put out what they were made to."""
    network = checkpoint_from_onnx(SMALL).network()
    eyes = np.random.default_rng(0).uniform(-1, 1, (2, 1, 36, 60)).astype(np.float32)
    expected = ort.InferenceSession(str(SMALL), providers=["CPUExecutionProvider"]).run(None, {"eye": eyes})
    with torch.no_grad():
        found = network(torch.from_numpy(eyes))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-3)
    variances = [tensor for name, tensor in network.state_dict().items() if name.endswith("running_var")]
    assert len(variances) > 30
    assert all((variance > 0).all() for variance in variances)


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no ONNX, and an ONNX file of another origin, are refused by name."""
    (tmp_path / "text.onnx").write_text("no model", encoding="utf-8")
    graph = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Abs(x) }'
    )
    onnx.save(graph, tmp_path / "other.onnx")
    assert main([str(tmp_path / "text.onnx"), "-o", str(tmp_path / "c.pt")]) == 2
    assert "text.onnx is no ONNX file" in capsys.readouterr().err
    assert main([str(tmp_path / "other.onnx"), "-o", str(tmp_path / "c.pt")]) == 2
    assert "was not written by training.export" in capsys.readouterr().err
    assert not (tmp_path / "c.pt").exists()
