"""Write the files of one model version to its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from onepass.engine import Plan, sidecar_path
from onepass.engine.sidecar import write_json
from onepass.graph import OnnxGraph


def write_engine(plan: Plan, file: str, folder: Path) -> None:
    """Write an engine and its sidecar, so that onepass can still open the copy."""
    (folder / file).write_bytes(plan.engine_bytes())
    write_json(sidecar_path(folder / file), plan.to_json())


def write_onnx(path: Path, outputs: tuple[str, ...] | None, file: str, folder: Path) -> None:
    """Write an ONNX model and its external weights, with only these outputs (None for all)."""
    graph = OnnxGraph.load(path)
    if outputs is not None and tuple(value.name for value in graph.proto.graph.output) != outputs:
        graph = graph.select(outputs)
    elif not graph.weight_files:
        shutil.copyfile(path, folder / file)
        return
    graph.save(folder / file)


def copy(path: Path, file: str, folder: Path) -> None:
    """Copy a single-file model."""
    shutil.copyfile(path, folder / file)


def copy_source(module: str, folder: Path) -> None:
    """Copy a module of this package as ``model.py`` for Triton's Python backend."""
    shutil.copyfile(Path(__file__).with_name(f"{module}.py"), folder / "model.py")
