"""C++ and Python give the same bits and the same errors; ``make test-cpp`` builds the program that is run here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onepass
from onepass import OnnxGraph
from tests.zoo import BY_NAME, ZOO, Animal

_PROGRAM = os.environ.get("ONEPASS_CPP_RUN", "")
RUNTIMES = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))

pytestmark = pytest.mark.skipif(not (_PROGRAM and RUNTIMES), reason="make test-cpp builds the program and runs these")


def run(model: Path, case: dict[str, Any], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the example program on some inputs; its outputs go to ``folder/out``."""
    given = []
    for index, (name, array) in enumerate(case.items()):
        file = folder / f"in{index}.npy"
        np.save(file, plain(array))
        given.append(f"{name}={file}")
    command = [_PROGRAM, str(model), *given, "--runtime", str(RUNTIMES[0]), "--into", str(folder / "out"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array as .npy holds it: texts as NumPy's own, types that NumPy has no name for as mere bytes."""
    if array.dtype == object:
        return array.astype(np.str_)
    return array.view(f"V{array.itemsize}") if array.dtype.isbuiltin == 2 else array


def saved(graph: OnnxGraph, folder: Path) -> Path:
    """Write a model as it is, whatever the checker thinks of it."""
    path = folder / "model.onnx"
    path.write_bytes(graph.to_bytes())
    return path


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_the_same_bits(animal: Animal, tmp_path: Path) -> None:
    """Every model of the zoo gives the names, the order, the dtypes, the shapes and the bits that Python gives."""
    model = saved(animal.graph, tmp_path)
    with onepass.load(model) as session:
        for number, case in enumerate(animal.cases):
            folder = tmp_path / str(number)
            folder.mkdir()
            expected = session(case)
            done = run(model, dict(case), folder)
            assert done.returncode == 0, done.stderr
            specs = {line.rpartition(": ")[0]: line.rpartition(": ")[2] for line in done.stdout.splitlines()}
            assert list(specs) == list(expected)
            for index, (name, array) in enumerate(expected.items()):
                kind = "string" if array.dtype == object else array.dtype.name
                assert specs[name] == f"{kind} {list(array.shape)}"
                found = np.load(folder / "out" / f"{index}.npy")
                if array.dtype == object:
                    np.testing.assert_array_equal(found.astype(object), array)
                else:
                    assert found.tobytes() == array.tobytes(), name


def test_some_outputs_come_in_the_models_order(tmp_path: Path) -> None:
    """Of three heads two are asked for, the later one first."""
    animal = BY_NAME["three heads"]
    words = ("--outputs", "monkey", "--outputs", "zebra")
    done = run(saved(animal.graph, tmp_path), dict(animal.cases[0]), tmp_path, *words)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["zebra", "monkey"]


@pytest.mark.parametrize(
    "animal", [each for each in ZOO if len(each.graph.proto.graph.output) > 1], ids=lambda a: a.name
)
def test_each_output_by_itself(animal: Animal, tmp_path: Path) -> None:
    """What is computed for one output alone has the bits that it has in Python."""
    model = saved(animal.graph, tmp_path)
    case = dict(animal.cases[0])
    with onepass.load(model) as session:
        names = session.signature.output_names
        for name in names[:: len(names) // 3 + 1]:
            expected = session(case, outputs=[name])[name]
            done = run(model, case, tmp_path, "--outputs", name)
            assert done.returncode == 0, done.stderr
            found = np.load(tmp_path / "out" / "0.npy")
            if expected.dtype == object:
                np.testing.assert_array_equal(found.astype(object), expected)
            else:
                assert found.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("beside", [False, True], ids=["weights inside", "weights beside"])
def test_what_no_output_needs_is_not_computed(beside: bool, tmp_path: Path) -> None:
    """A part that fails stands in nobody's way who does not ask for it; a branch's own needs are met."""
    case: dict[str, Any] = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "at": np.array([7], np.int64)}
    whole = model_with_a_part_that_fails(tmp_path, beside=beside)
    assert "indices element out of data bounds" in run(whole, case, tmp_path).stderr
    done = run(whole, case, tmp_path, "--outputs", "good")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "0.npy"), case["x"] * 3)


def model_with_a_part_that_fails(folder: Path, *, beside: bool) -> Path:
    """Write a model of two outputs: ``good`` from a branch that uses a value around it, ``bad`` gathered at `at`."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node
    branch = onnx.helper.make_graph(
        [node("Mul", ["x", "three"], ["product"])], "branch", [], [value("product", onnx.TensorProto.FLOAT, None)]
    )
    nodes = [
        node("Gather", ["x", "at"], ["bad"], axis=0),
        node("Mul", ["weight", "one"], ["three"]),
        node("If", ["yes"], ["good"], then_branch=branch, else_branch=branch),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.full(3, 3, np.float32), "weight"),
        onnx.numpy_helper.from_array(np.ones(3, np.float32), "one"),
        onnx.numpy_helper.from_array(np.array(True), "yes"),
    ]
    inputs = [value("x", onnx.TensorProto.FLOAT, ["N", 3]), value("at", onnx.TensorProto.INT64, [1])]
    outputs = [value("bad", onnx.TensorProto.FLOAT, None), value("good", onnx.TensorProto.FLOAT, ["N", 3])]
    graph = onnx.helper.make_graph(nodes, "parts", inputs, outputs, constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "parts.onnx"
    onnx.save(model, path, save_as_external_data=beside, location="weights.bin", size_threshold=0)
    return path


_X = np.zeros((2, 4), np.float32)


@pytest.mark.parametrize(
    ("case", "outputs"),
    [
        ({}, ()),
        ({"X": _X}, ()),
        ({"x": _X, "other": _X}, ()),
        ({"x": _X[:, :3]}, ()),
        ({"x": _X[0]}, ()),
        ({"x": _X[None]}, ()),
        ({"x": _X.astype(np.float64)}, ()),
        ({"x": _X}, ("zebr",)),
        ({"x": _X}, ("nothing like it",)),
    ],
)
def test_the_same_sentences(case: dict[str, Any], outputs: tuple[str, ...], tmp_path: Path) -> None:
    """What does not fit is refused in Python's words, but for the ends that name a method of NumPy's."""
    model = saved(BY_NAME["three heads"].graph, tmp_path)
    with onepass.load(model) as session, pytest.raises(onepass.OnepassError) as caught:
        session(case, outputs=outputs or None)
    words = [word for name in outputs for word in ("--outputs", name)]
    done = run(model, case, tmp_path, *words)
    expected = str(caught.value).split("; use array.astype")[0]
    expected = expected.replace("use array[None]", "add a leading dimension of size 1")
    assert (done.returncode, done.stderr.strip()) == (1, expected)


def test_a_dimension_has_one_size(tmp_path: Path) -> None:
    """Inputs that name a dynamic dimension alike must agree on it, as in Python."""
    animal = BY_NAME["two inputs, one batch"]
    case = dict(animal.cases[0])
    name, array = next(iter(case.items()))
    case[name] = np.concatenate([array, array])
    model = saved(animal.graph, tmp_path)
    with onepass.load(model) as session, pytest.raises(onepass.InputError) as caught:
        session(case)
    assert run(model, case, tmp_path).stderr.strip() == str(caught.value)


def test_models_that_cannot_be_read(tmp_path: Path) -> None:
    """What is no model is refused, with the file's name."""
    whole = saved(BY_NAME["three heads"].graph, tmp_path).read_bytes()
    for name, content in (("cut.onnx", whole[:-9]), ("text.onnx", b"a text"), ("empty.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        done = run(tmp_path / name, {"x": _X}, tmp_path)
        assert done.returncode == 1
        assert name in done.stderr
    assert "no model file at" in run(tmp_path / "gone.onnx", {"x": _X}, tmp_path).stderr
    engine = tmp_path / "e.engine"
    engine.write_bytes(b"ptrt....")
    assert "TensorRT" in run(engine, {"x": _X}, tmp_path).stderr
