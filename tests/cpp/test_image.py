"""The example that takes pictures gives what Python gives for them; ``make test-cpp`` builds it where OpenCV is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onepass
from onepass.media import write_picture
from onepass.media.tensors import tensor_from_picture
from tests.cpp.test_same_as_python import RUNTIMES

_PROGRAM = os.environ.get("ONEPASS_CPP_IMAGE", "")

pytestmark = pytest.mark.skipif(not (_PROGRAM and RUNTIMES), reason="make test-cpp builds the program where OpenCV is")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the example program."""
    command = [_PROGRAM, *map(str, words), "--runtime", str(RUNTIMES[0])]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def model_of_pictures(folder: Path, shape: list[Any], dtype: int, *, first: bool) -> Path:
    """Write a model that returns its pictures, and their mean over height and width."""
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    nodes = [
        node("Identity", ["pictures"], ["same"]),
        node("Cast", ["pictures"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("ReduceMean", ["floats"], ["mean"], axes=[2, 3] if first else [1, 2], keepdims=0),
    ]
    outputs = [value("same", dtype, shape), value("mean", onnx.TensorProto.FLOAT, None)]
    graph = onnx.helper.make_graph(nodes, "pictures", [value("pictures", dtype, shape)], outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path = folder / "pictures.onnx"
    onnx.save(model, path)
    return path


def pictures_in(folder: Path, count: int, *, height: int, width: int) -> tuple[list[Path], list[np.ndarray[Any, Any]]]:
    """Write pictures of chance, and return their files and what is in them."""
    random = np.random.default_rng(7)
    pictures = [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]
    files = [folder / f"{index}.png" for index in range(count)]
    for file, picture in zip(files, pictures, strict=True):
        write_picture(file, picture)
    return files, pictures


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        (["N", 3, 12, 20], onnx.TensorProto.FLOAT, ("--range", "-1,1")),
        (["N", 12, 20, 3], onnx.TensorProto.FLOAT, ()),
        (["N", 3, "H", "W"], onnx.TensorProto.UINT8, ()),
        (["N", 12, 20, 1], onnx.TensorProto.FLOAT, ()),
    ],
    ids=["channels first", "channels last", "any size, bytes", "grey"],
)
def test_pictures_go_in_as_in_python(shape: list[Any], dtype: int, words: tuple[str, ...], tmp_path: Path) -> None:
    """Five pictures in batches of two give the bits that Python gives, by the names of the outputs."""
    model = model_of_pictures(tmp_path, shape, dtype, first=shape[1] == 3)
    files, pictures = pictures_in(tmp_path, 5, height=12, width=20)
    done = run(model, *files, "--batch", 2, "--into", tmp_path / "out", *words)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["pass 0", "pass 1", "pass 2"]
    with onepass.load(model) as session:
        (spec,) = session.signature.inputs
        value_range = (-1.0, 1.0) if words else (0.0, 1.0)
        tensors = [tensor_from_picture(picture, spec, value_range=value_range) for picture in pictures]
        for number, start in enumerate(range(0, 5, 2)):
            expected = session(np.concatenate(tensors[start : start + 2]))
            for index, array in enumerate(expected.values()):
                assert np.load(tmp_path / "out" / f"{number}-{index}.npy").tobytes() == array.tobytes()


def test_pictures_of_another_size_are_resized(tmp_path: Path) -> None:
    """A picture twice as large becomes one of the model's size, about as in Python: OpenCV's version may be another."""
    model = model_of_pictures(tmp_path, ["N", 3, 12, 20], onnx.TensorProto.FLOAT, first=True)
    files, pictures = pictures_in(tmp_path, 1, height=24, width=40)
    done = run(model, *files, "--into", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with onepass.load(model) as session:
        expected = tensor_from_picture(pictures[0], session.signature.inputs[0])
    np.testing.assert_allclose(np.load(tmp_path / "out" / "0-0.npy"), expected, atol=1.5 / 255)


def test_live_takes_every_frame_in_its_order(tmp_path: Path) -> None:
    """Of a video whose frames grow lighter each is one pass, in order; --frames ends it."""
    cv2 = pytest.importorskip("cv2")
    video = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for level in range(0, 250, 25):
        writer.write(np.full((24, 32, 3), level, np.uint8))
    writer.release()
    model = model_of_pictures(tmp_path, ["N", 3, "H", "W"], onnx.TensorProto.UINT8, first=True)
    done = run(model, "--live", video, "--frames", 7, "--into", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("7 frames, ")
    means = [np.load(tmp_path / "out" / f"{number}-1.npy").mean() for number in range(7)]
    np.testing.assert_allclose(means, np.arange(7) * 25, atol=3)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    """A file without a picture, pictures of several sizes, and a model that takes none are refused."""
    model = model_of_pictures(tmp_path, ["N", 3, "H", "W"], onnx.TensorProto.UINT8, first=True)
    (tmp_path / "text.png").write_text("a text")
    assert "text.png holds no picture" in run(model, tmp_path / "text.png").stderr
    small, _ = pictures_in(tmp_path, 1, height=4, width=4)
    (tmp_path / "large").mkdir()
    large, _ = pictures_in(tmp_path / "large", 1, height=8, width=8)
    assert "another size" in run(model, *small, *large, "--batch", 2).stderr
    assert run(model, *small, *large).returncode == 0
    assert "text.png gives no frame" in run(model, "--live", tmp_path / "text.png").stderr
    assert "no camera and no video" in run(model, "--live", tmp_path / "nowhere.avi").stderr
    other = model_of_pictures(tmp_path, ["N", 5, 4, 4], onnx.TensorProto.FLOAT, first=True)
    assert "expected a model with one input of pictures" in run(other, *small).stderr
