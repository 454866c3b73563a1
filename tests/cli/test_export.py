"""``onepass export triton``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.shell import Shell
from tests.export.engines import CAST, engine
from tests.zoo import BY_NAME


def test_an_onnx_model(shell: Shell, tmp_path: Path) -> None:
    """What was written, what runs it, and what to know is printed, or put out as JSON."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    models = tmp_path / "models"
    out = shell("export", "triton", tmp_path / "three.onnx", "-o", models, "--backend", "python", "--threads", 2)
    assert out == (
        f"{models / 'three'}, version 1\n"
        "Triton backend: python, batch size up to 8\n"
        "install onepass in the Python environment that Triton runs models with\n"
    )
    words = ("--name", "other", "--max-batch", 0, "--json")
    told = json.loads(shell("export", "triton", tmp_path / "three.onnx", "-o", models, *words))
    assert told == {
        "name": "other", "version": 1, "backend": "onnxruntime", "folders": [str(models / "other")], "max_batch": 0,
        "notes": ["no batches: disabled by max_batch=0"],
    }  # fmt: skip


def test_an_engine(shell: Shell, tmp_path: Path) -> None:
    """Every folder of an ensemble is named."""
    engine(CAST, tmp_path / "m.engine", api="8.5.3", batch=(1, 2, 4))
    out = shell("export", "triton", tmp_path / "m.engine", "-o", tmp_path / "models", "--max-delay-ms", 0.5)
    assert [line.split(",")[0] for line in out.splitlines()[:4]] == [
        str(tmp_path / "models" / name) for name in ("m-engine", "m-inputs", "m-outputs", "m")
    ]
    assert "max_queue_delay_microseconds: 500" in (tmp_path / "models" / "m-engine" / "config.pbtxt").read_text("utf-8")


def test_messages_are_in_the_commands_words(shell: Shell, tmp_path: Path) -> None:
    """What is wrong is said with the options that the command has."""
    BY_NAME["scalar input and output"].graph.save(tmp_path / "s.onnx")
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    models = tmp_path / "models"
    said = shell.fails("export", "triton", tmp_path / "s.onnx", "-o", models)
    assert said.endswith("let onepass run the model in Triton: --backend python\n")
    shell("export", "triton", tmp_path / "three.onnx", "-o", models)
    said = shell.fails("export", "triton", tmp_path / "three.onnx", "-o", models, "--max-batch", 2)
    assert said.endswith("export under another name with --name, or replace the configuration with --force\n")
    said = shell.fails("export", "triton", tmp_path / "s.onnx", "-o", models, "--max-batch", 2, "--backend", "python")
    assert "--max-batch 2: requests cannot be batched, because input 's' has no batch dimension" in said
    assert "max_batch" not in said
