"""Models written into a model repository of Triton."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper

from onepass import InputError, ModelFormatError, ModelNotFoundError, ModelSpec, OnnxGraph, UnsupportedModelError, load
from onepass.export import to_triton
from onepass.export.triton import placing
from onepass.export.triton.text import Word, text_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, model, sequence_model

_THREE = BY_NAME["three heads"].graph


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three heads in a file."""
    _THREE.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


def _files(folder: Path) -> list[str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != ".onepass.lock"]
    return sorted(file.relative_to(folder).as_posix() for file in files)


def _models(repository: Path) -> list[str]:
    """Return what Triton takes for models."""
    return sorted(each.name for each in repository.iterdir() if each.is_dir())


def _config(folder: Path) -> str:
    return (folder / "config.pbtxt").read_text(encoding="utf-8")


def test_text() -> None:
    """Fields come in their order, a repeated message by itself each time; what a text may hold is escaped."""
    message = {
        "name": 'größe "a\\b"\n\x01', "kind": Word("KIND_CPU"), "count": 2, "on": True, "dims": [1, -1], "shape": [],
        "each": [{"key": "a", "value": {"x": 0.5}}, {}],
    }  # fmt: skip
    assert text_of(message) == (
        'name: "größe \\"a\\\\b\\"\\n\\001"\nkind: KIND_CPU\ncount: 2\non: true\ndims: [1, -1]\nshape: []\n'
        'each {\n  key: "a"\n  value {\n    x: 0.5\n  }\n}\neach {}\n'
    )


def test_an_onnx_model(three: Path, tmp_path: Path) -> None:
    """Triton runs the file as it is; the configuration has every input and output, in the model's order."""
    exported = to_triton(three, tmp_path / "models", max_delay_ms=1.5, max_queue=7, instances=2)
    assert (exported.name, exported.version, exported.backend, exported.max_batch) == ("three", 1, "onnxruntime", 8)
    assert exported.folders == (tmp_path / "models" / "three",)
    assert _files(tmp_path / "models") == ["three/1/model.onnx", "three/config.pbtxt"]
    assert (tmp_path / "models/three/1/model.onnx").read_bytes() == three.read_bytes()
    assert _config(exported.folders[0]) == (
        "# Written by onepass.\n"
        'platform: "onnxruntime_onnx"\n'
        "max_batch_size: 8\n"
        'input {\n  name: "x"\n  data_type: TYPE_FP32\n  dims: [4]\n}\n'
        'output {\n  name: "zebra"\n  data_type: TYPE_FP32\n  dims: [4]\n}\n'
        'output {\n  name: "ant"\n  data_type: TYPE_FP32\n  dims: [1]\n  reshape {\n    shape: []\n  }\n}\n'
        'output {\n  name: "monkey"\n  data_type: TYPE_FP32\n  dims: [4]\n}\n'
        "dynamic_batching {\n  max_queue_delay_microseconds: 1500\n"
        "  default_queue_policy {\n    max_queue_size: 7\n  }\n}\n"
        "instance_group {\n  count: 2\n  kind: KIND_CPU\n}\n"
        + "".join(
            f'model_warmup {{\n  name: "{count} at once"\n  batch_size: {count}\n  inputs {{\n    key: "x"\n'
            "    value {\n      data_type: TYPE_FP32\n      dims: [4]\n      zero_data: true\n    }\n  }\n}\n"
            for count in (1, 8)
        )
        + 'default_model_filename: "model.onnx"\n'
    )


def test_another_version_of_a_model(three: Path, tmp_path: Path) -> None:
    """A model that is there gets the next number; another configuration replaces the one there only by force."""
    models = tmp_path / "models"
    to_triton(three, models)
    (models / "three" / "7").mkdir()
    assert to_triton(three, models).version == 8
    with pytest.raises(InputError, match=r"three already has a different config\.pbtxt, .*name=….*force=True"):
        to_triton(three, models, max_batch=4)
    assert _files(models) == ["three/1/model.onnx", "three/8/model.onnx", "three/config.pbtxt"]
    assert to_triton(three, models, max_batch=4, force=True).version == 9
    assert "max_batch_size: 4" in _config(models / "three")
    assert to_triton(three, models, max_batch=2, name="small").version == 1


def test_nothing_is_left_of_a_model_that_could_not_be_written(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk is full, neither a new model nor another version of one is there."""
    models = tmp_path / "models"
    to_triton(three, models)
    before = _files(models)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    for name in ("three", "new"):
        with pytest.raises(OSError, match="No space left"):
            to_triton(three, models, name=name)
    assert _files(models) == before
    assert _models(models) == ["three"]
    assert sorted(file.name for file in (models / "three").iterdir()) == ["1", "config.pbtxt"]


def test_weights_beside_the_model_come_along(tmp_path: Path) -> None:
    """External weights lie beside the model in the repository, too, and it runs there."""
    graph = model("(float[N, 2] x) => (float[N, 2] y) <float[2] w = {1.5, -2.0}> { y = Mul (x, w) }")
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    external_data_helper.convert_model_to_external_data(proto, location="w.bin", size_threshold=0)
    (tmp_path / "source").mkdir()
    onnx.save(proto, tmp_path / "source" / "m.onnx")
    to_triton(tmp_path / "source" / "m.onnx", tmp_path / "models")
    shutil.rmtree(tmp_path / "source")
    with load(tmp_path / "models" / "m" / "1" / "model.onnx") as session:
        np.testing.assert_array_equal(session(np.ones((1, 2), np.float32))["y"], [[1.5, -2]])


@pytest.mark.filterwarnings("ignore::onepass.LeftOutWarning")
@pytest.mark.parametrize("graph", [sequence_model(), BY_NAME["an output that is listed twice"].graph])
def test_outputs_that_triton_does_not_serve_are_not_in_its_file(graph: OnnxGraph, tmp_path: Path) -> None:
    """An output that is no tensor, or listed twice, is declared once or not at all, and the file agrees."""
    (tmp_path / "m.onnx").write_bytes(graph.proto.SerializeToString())
    to_triton(tmp_path / "m.onnx", tmp_path / "models")
    written = OnnxGraph.load(tmp_path / "models" / "m" / "1" / "model.onnx")
    assert [value.name for value in written.proto.graph.output] == ["y", "z"]
    assert _config(tmp_path / "models" / "m").count("\noutput {") == 2


@pytest.mark.parametrize(("text", "why"), [
    ("(float[N, 2] x) => (float[N, 2] y) { y = Softmax <axis = 0> (x) }",
     "output 'y' of an item depends on the other items in the batch"),
    ("(int64[N, 2] x) => (int64[N, 2] y) <int64 axis = {0}> { y = CumSum (x, axis) }",
     "output 'y' of an item depends on the other items in the batch"),
    ("(float[N, 2] x) => (float[N, 2] y) <int64[1] a = {1}, int64[1] b = {2}> { y = Slice (x, a, b) }",
     "output 'y' of an item depends on the other items in the batch"),
    ("(float[N, 2] x) => (float[N, 2] y, float[2] w) <float[2] w = {1.0, 2.0}> { y = Neg (x) }",
     "the first dimension of output 'w' is fixed at 2"),
    ("(float[N] x, float[M] z) => (float[N] y) { y = Neg (x) }",
     "the first dimension of input 'x' is N, but that of input 'z' is M"),
    ("(float[N, N] x) => (float[N, N] y) { y = Neg (x) }",
     "the first dimension of input 'x', N, occurs again in its shape"),
])  # fmt: skip
def test_requests_that_must_not_be_put_together(text: str, why: str, tmp_path: Path) -> None:
    """A model whose items do not stay apart takes no batches, and users are told why; asked for, it is refused."""
    model(text, check=False).save(tmp_path / "m.onnx")
    exported = to_triton(tmp_path / "m.onnx", tmp_path / "models")
    assert exported.max_batch == 0
    assert exported.notes[0].startswith(f"no batches: {why}")
    assert "max_batch_size: 0" in _config(tmp_path / "models" / "m")
    with pytest.raises(InputError, match="max_batch=3: "):
        to_triton(tmp_path / "m.onnx", tmp_path / "models", max_batch=3, name="n")
    assert _files(tmp_path / "models") == ["m/1/model.onnx", "m/config.pbtxt"]


def test_a_model_that_made_up_inputs_do_not_suit(tmp_path: Path) -> None:
    """Where items cannot be tried, nothing is put together, unless the user says that it may."""
    text = "(float[N, 2] x, int64[N, 1] i) => (float[N, 1] y) { y = GatherElements <axis = 1> (x, i) }"
    model(text).save(tmp_path / "m.onnx")
    exported = to_triton(tmp_path / "m.onnx", tmp_path / "models")
    assert exported.max_batch == 0
    assert exported.notes[0].startswith("no batches: the model does not run on random inputs")
    assert to_triton(tmp_path / "m.onnx", tmp_path / "models", name="n", max_batch=3).max_batch == 3


def test_scalars_need_onepass(tmp_path: Path) -> None:
    """Triton has no scalars: a model with one is refused by its name, unless onepass runs it, which makes [1] of it."""
    BY_NAME["scalar input and output"].graph.save(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedModelError, match=r"input 's' is a scalar, .*backend='python'"):
        to_triton(tmp_path / "m.onnx", tmp_path / "models")
    exported = to_triton(tmp_path / "m.onnx", tmp_path / "models", backend="python")
    assert 'name: "total"\n  data_type: TYPE_FP32\n  dims: [1]\n}' in _config(exported.folders[0])
    assert exported.notes == (
        "no batches: input 's' has no batch dimension",
        "install onepass in the Python environment that Triton runs models with",
    )


@pytest.mark.parametrize(("animal", "backend", "message"), [
    ("output float8e4m3fn", None, "output 'y' is float8_e4m3fn, which Triton does not support; cast it to float32"),
    ("input bfloat16", "python", "'x' is bfloat16, which Triton's Python backend does not support; cast it to float32"),
    ("unknown rank", None, "input 'x' has an unknown rank, but Triton needs"),
])  # fmt: skip
def test_tensors_that_triton_has_not(animal: str, backend: str | None, message: str, tmp_path: Path) -> None:
    """A tensor that Triton cannot have is named, and nothing is written."""
    (tmp_path / "m.onnx").write_bytes(BY_NAME[animal].graph.to_bytes())
    with pytest.raises(UnsupportedModelError, match=message):
        to_triton(tmp_path / "m.onnx", tmp_path / "models", backend=backend)  # type: ignore[arg-type] # of the table
    assert not (tmp_path / "models").exists()


def test_bfloat16_and_texts_have_types_in_triton(tmp_path: Path) -> None:
    """Triton's own backend takes bfloat16 and texts, by their names there; sizes of zero may be any."""
    for name, word in (("output bfloat16", "TYPE_BF16"), ("strings [M]", "TYPE_STRING")):
        BY_NAME[name].graph.save(tmp_path / "m.onnx")
        assert word in _config(to_triton(tmp_path / "m.onnx", tmp_path / "models", name=word).folders[0])
    BY_NAME["an output of size zero"].graph.save(tmp_path / "m.onnx")
    assert "dims: [-1]" in _config(to_triton(tmp_path / "m.onnx", tmp_path / "models", name="zero").folders[0])


def test_how_a_model_is_opened(three: Path, tmp_path: Path) -> None:
    """A spec says how: Triton's own backend is told what it understands, onepass all of it."""
    spec = ModelSpec(three, threads=3, providers=("cuda",))
    own = _config(to_triton(spec, tmp_path / "models").folders[0])
    assert "kind: KIND_GPU" in own
    assert 'key: "intra_op_thread_count"\n  value {\n    string_value: "3"' in own
    spec = ModelSpec(three, threads=3, optimize="basic")
    text = _config(to_triton(spec, tmp_path / "models", backend="python", name="by_onepass").folders[0])
    given = {"path": "model.onnx", "threads": 3, "optimize": "basic"}
    assert text_of({"string_value": json.dumps(given)}).strip() in text
    assert "kind: KIND_CPU" in text
    assert sorted(_files(tmp_path / "models" / "by_onepass")) == ["1/model.onnx", "1/model.py", "config.pbtxt"]
    with pytest.raises(
        InputError, match=r"Triton's ONNX Runtime backend does not support optimize=; .*backend='python'"
    ):
        to_triton(spec, tmp_path / "models", name="more")
    with pytest.raises(InputError, match="ONNX Runtime backend, expected 'cpu' or 'cuda'"):
        to_triton(ModelSpec(three, providers=("tensorrt",)), tmp_path / "models", name="more")
    with pytest.raises(InputError, match="weights= names another file"):
        to_triton(ModelSpec(three, weights="w.onnx"), tmp_path / "models", backend="python", name="more")


@pytest.mark.parametrize(("given", "message"), [
    ({"name": "a/b"}, "invalid model name 'a/b' for Triton"),
    ({"name": ".hidden"}, "invalid model name '.hidden'"),
    ({"backend": "tensorrt"}, "backend='tensorrt' cannot run .*three.onnx, which is an ONNX model; omit the option"),
    ({"backend": "pytorch"}, "backend: expected tensorrt, onnxruntime, python, got 'pytorch'"),
    ({"instances": 0}, "instances must be a whole number ≥ 1, got 0"),
    ({"max_delay_ms": float("nan")}, "max_delay_ms must be a number ≥ 0, got nan"),
    ({"max_queue": 2.5}, "max_queue must be a whole number ≥ 0, got 2.5"),
    ({"max_batch": -1}, "max_batch must be a whole number ≥ 0, got -1"),
    ({"max_batch": True}, "max_batch must be a whole number ≥ 0, got True"),
])  # fmt: skip
def test_options_that_do_not_fit(given: dict[str, object], message: str, three: Path, tmp_path: Path) -> None:
    """What is wrong with an option is said before anything is written."""
    with pytest.raises(InputError, match=message):
        to_triton(three, tmp_path / "models", **given)  # type: ignore[arg-type] # wrong on purpose
    assert not (tmp_path / "models").exists()


def test_files_of_other_kinds(tmp_path: Path) -> None:
    """ONNX Runtime's own format runs by onepass; what is no model that runs is to be converted first."""
    with pytest.raises(ModelNotFoundError):
        to_triton(tmp_path / "missing.onnx", tmp_path / "models")
    (tmp_path / "m.tflite").write_bytes(b"\0\0\0\0TFL3" + b"\0" * 8)
    with pytest.raises(ModelFormatError, match=r"is a TFLite model; convert it to ONNX first: onepass\.convert"):
        to_triton(tmp_path / "m.tflite", tmp_path / "models")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    onnxruntime.InferenceSession(_THREE.to_bytes(), options)
    with pytest.raises(UnsupportedModelError, match=r"Triton's own backends cannot run; .*backend='python'"):
        to_triton(tmp_path / "m.ort", tmp_path / "models")
    exported = to_triton(tmp_path / "m.ort", tmp_path / "models", backend="python")
    assert _files(exported.folders[0]) == ["1/model.ort", "1/model.py", "config.pbtxt"]


def test_drafts_lie_beside_the_repository(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a model is written, the repository holds no folder of it; what a kill left behind goes the next time."""
    repository = tmp_path / "models"
    seen: list[list[str]] = []
    left = tmp_path / ".models-three.0123456789ab"
    (left / "1").mkdir(parents=True)
    monkeypatch.setattr(placing, "sync", lambda _: seen.append(_models(repository)))
    to_triton(three, repository)
    assert seen
    assert not any(seen)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["models", "three.onnx"]


def test_exports_of_one_name_at_once(three: Path, tmp_path: Path) -> None:
    """Each gets a version of its own."""
    versions: list[int] = []
    in_threads(6, lambda _: versions.append(to_triton(three, tmp_path / "models").version))
    assert sorted(versions) == [1, 2, 3, 4, 5, 6]
    assert sorted(each.name for each in (tmp_path / "models/three").iterdir()) == [*"123456", "config.pbtxt"]


def test_a_long_name(three: Path, tmp_path: Path) -> None:
    """A name that no file system takes is refused before anything is written."""
    with pytest.raises(InputError, match="1 to 128 letters"):
        to_triton(three, tmp_path / "models", name="n" * 129)
    assert not (tmp_path / "models").exists()
