"""C++ and Python give the same bits and the same errors; ``make test-cpp`` builds the program that is run here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onepass
from onepass import OnnxGraph
from tests.zoo import BY_NAME, ZOO, Animal

_PROGRAM = os.environ.get("ONEPASS_CPP_RUN", "")
_RUNTIMES = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))

pytestmark = pytest.mark.skipif(not (_PROGRAM and _RUNTIMES), reason="make test-cpp builds the program and runs these")


def run(model: Path, case: dict[str, Any], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the example program on some inputs; its outputs go to ``folder/out``."""
    given = []
    for index, (name, array) in enumerate(case.items()):
        file = folder / f"in{index}.npy"
        np.save(file, plain(array))
        given.append(f"{name}={file}")
    command = [_PROGRAM, str(model), *given, "--runtime", str(_RUNTIMES[0]), "--into", str(folder / "out"), *words]
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
    expected = str(caught.value).split(": array.astype")[0].replace("is array[None]", "has a size of 1 in front")
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
