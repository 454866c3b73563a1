"""Engines written into a model repository of Triton."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from onepass import EngineMismatchError, InputError, ModelSpec, UnsupportedModelError
from onepass.engine import read_sidecar
from onepass.engine.plugins import Plugin
from onepass.export import to_triton
from tests.export.engines import CAST, changed, engine
from tests.zoo import BY_NAME, model

_THREE = BY_NAME["three heads"].graph
_SIZES = model("(float[N, 3, W] x) => (float[N, 3, W] y) { y = Neg (x) }")


def _config(folder: Path) -> str:
    return (folder / "config.pbtxt").read_text(encoding="utf-8")


def _flat(folder: Path) -> str:
    return re.sub(r"\s+", " ", _config(folder))


def test_a_plain_engine(tmp_path: Path) -> None:
    """An engine with the model's names and dtypes runs by itself, its sidecar beside it, at batches of its profile."""
    plan = engine(_THREE, tmp_path / "three.engine", batch=(1, 4, 6))
    exported = to_triton(tmp_path / "three.engine", tmp_path / "models")
    assert (exported.backend, exported.max_batch, exported.version) == ("tensorrt", 6, 1)
    assert exported.notes[0] == "built with TensorRT 10.16.1: Triton's container must have exactly this version"
    [folder] = exported.folders
    assert (folder / "1" / "model.plan").read_bytes() == plan.engine_bytes()
    copied = read_sidecar(folder / "1" / "model.plan")
    assert copied is not None
    assert copied.to_json() == plan.to_json()
    text = _flat(folder)
    assert 'platform: "tensorrt_plan" max_batch_size: 6' in text
    assert re.findall(r'(?:input|output) { name: "(\w+)"', text) == ["x", "zebra", "ant", "monkey"]
    assert 'name: "ant" data_type: TYPE_FP32 dims: [1] reshape { shape: [] }' in text
    assert "instance_group { count: 1 kind: KIND_GPU }" in text
    assert re.findall(r"graph_spec { batch_size: (\d+)", text) == ["1", "2", "4", "6"]
    assert re.findall(r'model_warmup { name: "(.*?)"', text) == ["1 at once", "6 at once"]


def test_profiles(tmp_path: Path) -> None:
    """Triton gets all profiles; batches reach as far as these hold every number; warm-up and graphs have best sizes."""
    shapes = [{"x": ((low, 3, 4), (high, 3, 8), (high, 3, 16))} for low, high in ((1, 2), (3, 8), (10, 20))]
    engine(_SIZES, tmp_path / "m.engine", shapes=shapes)
    exported = to_triton(ModelSpec(tmp_path / "m.engine", device=(0, 2)), tmp_path / "models", instances=3)
    assert exported.max_batch == 8
    text = _flat(exported.folders[0])
    assert (
        "instance_group { count: 3 kind: KIND_GPU gpus: [0, 2] profile: [0, 1, 2] }".replace(
            "[0, 1, 2]", '["0", "1", "2"]'
        )
        in text
    )
    assert "dims: [3, -1]" in text
    assert 'graph_spec { batch_size: 8 input { key: "x" value { dim: [3, 8] } } }' in text
    assert "dims: [3, 8] zero_data: true" in text
    with pytest.raises(
        InputError, match=r"max_batch=9: the engine's profiles allow at most 8 items; .*batch=\(1, 9, 9\)"
    ):
        to_triton(tmp_path / "m.engine", tmp_path / "models", max_batch=9, name="n")
    assert to_triton(tmp_path / "m.engine", tmp_path / "models", max_batch=5, name="n").max_batch == 5


@pytest.mark.parametrize(("text", "options", "why"), [
    ("(float[N, 2] x) => (float[N, 2] y) { y = Neg (x) }", {"batch": (2, 4, 8)},
     "no profile of the engine allows a single"),
    ("(float[3, 2] x) => (float[3, 2] y) { y = Neg (x) }", {}, "the first dimension of input 'x' is fixed at 3"),
    ("(float[2] x, int64[2] to) => (float[A, B] y) { y = Expand (x, to) }",
     {"values": {"to": ((1, 2), (3, 2), (4, 2))}},
     "the first dimension of input 'x' is fixed at 2"),
])  # fmt: skip
def test_engines_without_batches(text: str, options: dict[str, Any], why: str, tmp_path: Path) -> None:
    """An engine that does not take single items, or is of one size, gets whole inputs, and users are told why."""
    engine(model(text), tmp_path / "m.engine", **options)
    exported = to_triton(tmp_path / "m.engine", tmp_path / "models")
    assert exported.max_batch == 0
    assert exported.notes[0].startswith(f"no batches: {why}")
    text = _flat(exported.folders[0])
    if "values" in options:
        assert 'name: "to" data_type: TYPE_INT64 dims: [2] is_shape_tensor: true' in text
        assert "graphs: false" in text
        assert "model_warmup" not in text
    else:
        assert re.findall(r"graph_spec { batch_size: (\d+)", text) == ["0"]
    with pytest.raises(InputError, match="max_batch=2: "):
        to_triton(tmp_path / "m.engine", tmp_path / "models", max_batch=2, name="n")


def test_an_engine_with_other_names_and_dtypes(tmp_path: Path) -> None:
    """What the sidecar renames or casts is undone by an ensemble of the model's name, which is written last."""
    engine(CAST, tmp_path / "m.engine", api="8.5.3", batch=(1, 2, 4))
    exported = to_triton(tmp_path / "m.engine", tmp_path / "models")
    assert [folder.name for folder in exported.folders] == ["m-engine", "m-inputs", "m-outputs", "m"]
    inner, before, after, outer = (_flat(folder) for folder in exported.folders)
    assert 'input { name: "id" data_type: TYPE_INT32 dims: [3] }' in inner
    assert 'output { name: "best" data_type: TYPE_INT32 dims: [1] reshape { shape: [] } }' in inner
    assert 'input { name: "id" data_type: TYPE_INT64 dims: [3] } output { name: "id" data_type: TYPE_INT32' in before
    assert 'input { name: "best" data_type: TYPE_INT32' in after
    assert 'platform: "ensemble" max_batch_size: 4' in outer
    assert re.findall(r'(?:input|output) { name: "(\w+)" data_type: (\w+)', outer) == [
        ("x", "TYPE_FP32"), ("id", "TYPE_INT64"),
        ("best", "TYPE_INT64"), ("x2", "TYPE_FP32"), ("more", "TYPE_FP32"),
    ]  # fmt: skip
    assert "reshape" not in outer
    assert 'input_map { key: "id" value: "id as int32" }' in outer
    assert 'output_map { key: "best" value: "best as int32" }' in outer
    assert "dynamic_batching" not in outer
    assert (exported.folders[0] / "1" / "model.plan").is_file()
    for folder in exported.folders[1:3]:
        assert "class TritonPythonModel" in (folder / "1" / "model.py").read_text("utf-8")
    assert list((exported.folders[3] / "1").iterdir()) == []


def test_an_engine_that_only_renames(tmp_path: Path) -> None:
    """Names alone are put right without a model that casts."""
    plan = engine(BY_NAME["an output that is a weight"].graph, tmp_path / "m.engine", batch=(1, 2, 4))
    assert [(edge.spec.name, edge.tensor) for edge in plan.outputs] == [("y", "y"), ("w", "w__out")]
    exported = to_triton(tmp_path / "m.engine", tmp_path / "models")
    assert [folder.name for folder in exported.folders] == ["m-engine", "m"]
    assert 'output_map { key: "w__out" value: "w" }' in _flat(exported.folders[1])


def test_an_output_that_is_an_input(tmp_path: Path) -> None:
    """An ensemble cannot have one name for both, so that such an engine is refused by the output's name."""
    engine(BY_NAME["outputs that are inputs"].graph, tmp_path / "m.engine", batch=(1, 2, 4))
    with pytest.raises(
        UnsupportedModelError, match=r"'x' is both an input and an output; .*outputs=….*backend='python'"
    ):
        to_triton(tmp_path / "m.engine", tmp_path / "models")
    assert to_triton(tmp_path / "m.engine", tmp_path / "models", backend="python").max_batch == 4


def test_engines_that_triton_does_not_run(tmp_path: Path) -> None:
    """What Triton could not run, or not as it is meant, is refused, and the message says what to do."""
    path = tmp_path / "m.engine"
    plan = engine(_THREE, path, batch=(1, 2, 4))

    def refused(match: str, **facts: object) -> None:
        changed(plan, path, **facts)
        with pytest.raises(UnsupportedModelError, match=match):
            to_triton(path, tmp_path / "models")

    refused(
        "is a tensorrt_rtx engine, which Triton's TensorRT backend cannot run; .*backend='python'",
        flavor="tensorrt_rtx",
    )
    refused("built without weights, .*onepass refit", options={"strip": True})
    changed(plan, path)
    with pytest.raises(InputError, match=r"Triton's TensorRT backend does not support contexts=; .*backend='python'"):
        to_triton(ModelSpec(path, contexts=2), tmp_path / "models")
    path.write_bytes(b"ptrt another")
    with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
        to_triton(path, tmp_path / "models")
    path.with_name("m.engine.json").unlink()
    with pytest.raises(UnsupportedModelError, match=r"has no sidecar \(m\.engine\.json\)"):
        to_triton(path, tmp_path / "models")
    assert not any(each.is_dir() for each in (tmp_path / "models").iterdir())


def test_bfloat16_cannot_be_cast_by_triton(tmp_path: Path) -> None:
    """An engine that carries bfloat16 as something else is refused by the tensor's name."""
    engine(BY_NAME["output bfloat16"].graph, tmp_path / "m.engine", api="8.5.3", batch=(1, 2, 4))
    with pytest.raises(UnsupportedModelError, match="'y' is bfloat16 in the model and float32 in the engine"):
        to_triton(tmp_path / "m.engine", tmp_path / "models")


def test_what_to_know_of_an_engine(tmp_path: Path) -> None:
    """Version, GPU, plugins and what keeps passes from being recorded are told."""
    path = tmp_path / "m.engine"
    changed(
        engine(_THREE, path, batch=(1, 2, 4)), path, options={"version_compatible": True}, compute_capability="9.0",
        plugins=(Plugin("Swish", "1", ""),), control_flow=True,
    )  # fmt: skip
    exported = to_triton(path, tmp_path / "models")
    assert exported.notes == (
        (
            "built with TensorRT 10.16.1, version-compatible: start Triton with "
            "--backend-config=tensorrt,version-compatible=true"
        ),
        "built for GPUs of compute capability 9.0",
        "needs the plugins Swish: start Triton with --backend-config=tensorrt,plugins=LIBRARY",
        "no CUDA graphs: the engine has branches or loops",
    )
    assert "cuda { graphs: false }" in _flat(exported.folders[0])


def test_an_engine_that_onepass_runs_there(tmp_path: Path) -> None:
    """With Python's backend the engine lies beside its sidecar, and onepass is told how to open it."""
    engine(CAST, tmp_path / "m.engine", api="8.5.3", batch=(1, 2, 4))
    spec = ModelSpec(tmp_path / "m.engine", device=1, plugins="swish.so")
    exported = to_triton(spec, tmp_path / "models", backend="python")
    [folder] = exported.folders
    assert sorted(file.name for file in (folder / "1").iterdir()) == ["model.engine", "model.engine.json", "model.py"]
    assert r"{\"path\": \"model.engine\", \"device\": 1, \"plugins\": [\"swish.so\"]}" in _config(folder)
    assert exported.max_batch == 4
    assert exported.notes[-1] == "the plugin library must exist there under the same path: swish.so"
