"""ModelSpec: how to open a model, as one value."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import InputError, ModelSpec
from onepass.opening import ModelChoice
from tests.checker import assert_same
from tests.runtime.gpu import fake_gpu
from tests.zoo import BY_NAME

THREE = BY_NAME["three heads"]

_options = st.dictionaries(st.sampled_from(["mem_limit", "device_id"]), st.integers(0, 9) | st.text(max_size=5))
_providers = st.lists(st.sampled_from(["cpu", "cuda"]) | st.tuples(st.just("cuda"), _options), min_size=1, max_size=3)
specs = st.builds(
    ModelSpec,
    path=st.text(min_size=1, max_size=10) | st.just(Path("elg.onnx")),
    backend=st.sampled_from([None, "onnxruntime", "tensorrt"]),
    device=st.none() | st.integers(0, 7) | st.just("all") | st.lists(st.integers(0, 7), min_size=1, unique=True),
    keep_bytes=st.none() | st.integers(0, 1 << 40),
    threads=st.none() | st.integers(1, 64),
    contexts=st.none() | st.integers(1, 8),
    providers=st.none() | _providers,
    tf32=st.none() | st.booleans(),
    flavor=st.none() | st.just("tensorrt_rtx"),
    weight_streaming_bytes=st.none() | st.integers(0, 1 << 40),
)


@given(spec=specs)
def test_a_spec_goes_to_json_and_back(spec: ModelSpec) -> None:
    """JSON and pickle give the same spec again, so that another process opens the model alike."""
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert len({spec, ModelSpec.from_json(spec.to_json())}) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"path": ""}, "path must be the path of a model file"),
        ({"path": 3}, "path must be the path of a model file"),
        ({"path": "m", "backend": "onnx"}, "backend must be onnxruntime or tensorrt"),
        ({"path": "m", "device": -1}, r"device must be the number of a GPU .*got -1"),
        ({"path": "m", "device": True}, "device must be the number of a GPU"),
        ({"path": "m", "threads": 0}, "threads must be a whole number ≥ 1, got 0"),
        ({"path": "m", "contexts": 1.5}, "contexts must be a whole number"),
        ({"path": "m", "tf32": "yes"}, "tf32 must be True or False, got 'yes'"),
        ({"path": "m", "flavor": 8}, "flavor must be the name of a TensorRT"),
        ({"path": "m", "providers": "cpu"}, "providers= must be a non-empty list"),
        ({"path": "m", "providers": "cuda"}, r"use providers=\[\"cuda\"\]"),
        ({"path": "m", "providers": []}, "providers= must be a non-empty list"),
        ({"path": "m", "providers": [["cuda", 3]]}, "a provider must be a name"),
        ({"device": 1}, "a model spec needs a path"),
        ({"path": "m", "gpu": 1}, "may have backend, device"),
        ([], "a model spec needs a path"),
    ],
)
def test_a_wrong_value_is_named(wrong: Any, message: str) -> None:
    """What comes from a file or another process is checked when the spec is made."""
    with pytest.raises(InputError, match=message):
        ModelSpec.from_json(wrong)


def test_load_takes_a_spec(tmp_path: Path) -> None:
    """A spec opens its model as keyword arguments would; giving both is refused."""
    THREE.graph.save(tmp_path / "three.onnx")
    spec = ModelSpec(str(tmp_path / "three.onnx"), threads=2, providers=("cpu",), backend="onnxruntime")
    with onepass.load(spec) as session:
        assert session.report()["threads"] == 2
        assert_same(session(THREE.cases[0]), THREE.reference(THREE.cases[0]))
    with pytest.raises(InputError, match=r"threads= cannot be combined with a ModelSpec.*replace\(spec, threads="):
        onepass.load(spec, threads=1)


def test_a_spec_leaves_session_options_to_the_call(tmp_path: Path) -> None:
    """ONNX Runtime's own options cannot be sent to another process, so they are given beside a spec."""
    THREE.graph.save(tmp_path / "three.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 3
    with onepass.load(ModelSpec(tmp_path / "three.onnx"), session_options=options) as session:
        assert session.report()["threads"] == 3


def test_two_ways_to_open_a_file_have_two_names(tmp_path: Path) -> None:
    """A spec is shown with what it chooses, so that tools can tell two of one file apart."""
    assert str(ModelSpec("elg.onnx")) == "elg.onnx"
    spec = ModelSpec("elg.onnx", providers=["cuda"], threads=2)
    assert str(ModelChoice(spec)) == str(spec) == "elg.onnx@cuda,threads=2"
    assert ModelSpec.parse(str(spec)) == spec


def test_a_wrong_word_is_named_with_its_model() -> None:
    """Of several models on a command line, the message says which."""
    with pytest.raises(InputError, match=r"'b.onnx@threads=0': threads must be a whole number ≥ 1, got 0"):
        ModelSpec.parse("b.onnx@threads=0")


def test_a_spec_opens_an_engine(tmp_path: Path) -> None:
    """A spec of an engine names its GPU and how many calls run side by side."""
    with fake_gpu("10.16.1"):
        onepass.build(THREE.graph, tmp_path / "three.engine", batch=(1, 2, 8))
        spec = ModelSpec(str(tmp_path / "three.engine"), device=0, contexts=2, backend="tensorrt")
        with onepass.load(ModelSpec.from_json(spec.to_json())) as session:
            assert session.report()["contexts"]["at_most"] == 2


def test_a_backend_that_does_not_run_the_file_is_refused(tmp_path: Path) -> None:
    """Nothing is built or converted because another backend was asked for; the message says what would be."""
    path = tmp_path / "three.onnx"
    THREE.graph.save(path)
    with pytest.raises(InputError, match=r"'tensorrt' cannot run .*an ONNX model and runs on onnxruntime.*build"):
        onepass.load(path, backend="tensorrt")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("elg.onnx", ModelSpec("elg.onnx")),
        ("elg.onnx@cuda,cpu", ModelSpec("elg.onnx", providers=("cuda", "cpu"))),
        ("elg.engine@device=1,contexts=2", ModelSpec("elg.engine", device=1, contexts=2)),
        ("elg.engine@flavor=tensorrt_rtx", ModelSpec("elg.engine", flavor="tensorrt_rtx")),
    ],
)
def test_words_of_a_spec(word: str, expected: ModelSpec) -> None:
    """A model on the command line may say how it is to be opened, the GPU included."""
    assert ModelSpec.parse(word) == expected


def test_a_choice_may_be_a_spec(tmp_path: Path) -> None:
    """Compare and bench open a spec as load does."""
    THREE.graph.save(tmp_path / "three.onnx")
    word = f"{tmp_path / 'three.onnx'}@backend=onnxruntime,threads=2"
    choice = ModelChoice.parse(word)
    with choice.opened() as session:
        assert session.report()["threads"] == 2
        assert_same(session(THREE.cases[0]), THREE.reference(THREE.cases[0]))
    assert str(choice) == word
