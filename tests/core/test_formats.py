"""What a file is, by its content."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import ModelFormatError, ModelNotFoundError, OnepassError, load
from onepass.formats import Format, format_of, has_functions
from tests.zoo import BY_NAME, ZOO


def _zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


@pytest.mark.parametrize("animal", ZOO[:8], ids=lambda animal: animal.name)
def test_onnx_by_content(animal: object, tmp_path: Path) -> None:
    """An ONNX model is one under any name."""
    animal.graph.save(tmp_path / "model.engine")  # type: ignore[attr-defined]
    assert format_of(tmp_path / "model.engine") is Format.ONNX


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"ptrt" + bytes(60), Format.ENGINE),
        (b"\x1c\0\0\0TFL3" + bytes(20), Format.TFLITE),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), Format.HDF5),
        (b"\x80\x02}q\x00.", Format.PICKLE),
        (b"\x0a\x03\x0a\x01x", Format.FROZEN_GRAPH),
        (b"\x08\x01\x12\x02\x0a\x00", Format.SAVED_MODEL),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_other_formats_by_their_marks(head: bytes, kind: Format, tmp_path: Path) -> None:
    """Other formats are told apart, so that the message can say what came."""
    (tmp_path / "model.onnx").write_bytes(head)
    assert format_of(tmp_path / "model.onnx") is kind


def test_zip_formats(tmp_path: Path) -> None:
    """Keras and PyTorch both write zip archives; what is in them decides."""
    assert format_of(_zip(tmp_path / "a", "config.json", "model.weights.h5")) is Format.KERAS
    assert format_of(_zip(tmp_path / "b", "archive/data.pkl", "archive/byteorder")) is Format.TORCH
    with pytest.raises(ModelFormatError, match="neither a Keras nor a PyTorch"):
        format_of(_zip(tmp_path / "c", "photo.jpg"))
    (tmp_path / "d").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ModelFormatError, match="truncated or corrupt"):
        format_of(tmp_path / "d")


def test_folders(tmp_path: Path) -> None:
    """A folder is a SavedModel if it holds one."""
    with pytest.raises(ModelFormatError, match=r"folder with neither a saved_model.pb"):
        format_of(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    assert format_of(tmp_path) is Format.SAVED_MODEL


def test_ort_format(tmp_path: Path) -> None:
    """ONNX Runtime's own format is known by its mark."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(BY_NAME["three heads"].graph.to_bytes(), options, providers=["CPUExecutionProvider"])
    assert format_of(tmp_path / "model.ort") is Format.ORT


def test_missing_and_empty(tmp_path: Path) -> None:
    """A missing file and an empty one have messages of their own."""
    with pytest.raises(ModelNotFoundError, match="no model file at"):
        format_of(tmp_path / "nothing.onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelFormatError, match="is empty"):
        format_of(tmp_path / "empty.onnx")


def test_truncated_onnx(tmp_path: Path) -> None:
    """An ONNX file that ends in the middle of its graph is called truncated."""
    data = BY_NAME["32 outputs"].graph.to_bytes()
    (tmp_path / "half.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFormatError, match="truncated ONNX model"):
        format_of(tmp_path / "half.onnx")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_format_or_a_clear_error(data: bytes) -> None:
    """Whatever a file holds, the answer is a format or an error of ours."""
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            assert isinstance(format_of(file.name), Format)
        except OnepassError as error:
            assert file.name in str(error)  # noqa: PT017 - most bytes raise, but some are a format


def test_text_is_no_model(tmp_path: Path) -> None:
    """A text file is no model, whatever it is called; a Git LFS pointer is told by name."""
    (tmp_path / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFormatError, match="git lfs pull"):
        format_of(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_text("Not found\n")
    with pytest.raises(ModelFormatError, match="not in a known model format"):
        format_of(tmp_path / "model.onnx")
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ModelFormatError):
        format_of(tmp_path / "a.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    """A pipe, which may have no writer, is refused at once, with what to do; so is a device."""
    os.mkfifo(tmp_path / "model.onnx")
    for path in (tmp_path / "model.onnx", Path(os.devnull)):
        with pytest.raises(ModelFormatError, match=rf"{path} is a pipe or a device; .* to a file first"):
            format_of(path)


def test_functions_are_seen_from_outside() -> None:
    """Whether a model has functions is known by its outermost fields; damaged ones are no error here."""
    named_add = Path(__file__).parents[1] / "fuzz" / "corpus" / "onnx" / "function-named-add.onnx"
    assert has_functions(BytesIO(named_add.read_bytes()))
    with pytest.raises(ModelFormatError, match="has 1 inputs"):
        load(named_add)
    for animal in ZOO[:4]:
        assert not has_functions(BytesIO(animal.graph.to_bytes()))
    assert not has_functions(BytesIO(b"\x3a\xff\xff"))
