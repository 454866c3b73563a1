"""What a model file is, by its content: file endings lie, and a wrong guess ends in an error nobody understands."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from onepass._errors import ModelFormatError, ModelNotFoundError


class Format(Enum):
    """The formats that onepass can tell apart; the value is the name used in messages."""

    ONNX = "an ONNX model"
    ORT = "an ONNX Runtime (.ort) model"
    ENGINE = "a TensorRT engine"
    SAVED_MODEL = "a TensorFlow SavedModel"
    FROZEN_GRAPH = "a frozen TensorFlow graph"
    CHECKPOINT = "a TensorFlow checkpoint"
    KERAS = "a Keras model"
    HDF5 = "an HDF5 file (older Keras models are)"
    TFLITE = "a TFLite model"
    GAZEML = "a folder of GazeML's weights"
    TORCH_PROGRAM = "an exported PyTorch program"
    TORCHSCRIPT = "a TorchScript model"
    TORCH = "a PyTorch file of weights, or of pickled objects"
    PICKLE = "a Python pickle (older PyTorch files are)"


RUNNABLE = frozenset({Format.ONNX, Format.ORT, Format.ENGINE})
"""What `onepass.load` opens; the others are converted first."""

PROGRAMS = frozenset({
    Format.SAVED_MODEL, Format.FROZEN_GRAPH, Format.CHECKPOINT, Format.KERAS, Format.HDF5, Format.TORCH_PROGRAM,
    Format.TORCHSCRIPT,
})  # fmt: skip
"""Networks that are programs: whoever opens one runs what is in it, so that it takes the user's word to open it.

TensorFlow's graphs read and write files; Keras makes objects by the names of their classes; what PyTorch exports has
expressions that are evaluated, and TorchScript is a language.
"""

# Format, position of the mark in the file, the mark.
_MARKS: tuple[tuple[Format, int, bytes], ...] = (
    (Format.ENGINE, 0, b"ptrt"),
    (Format.ENGINE, 0, b"vtrt"),  # TensorRT-RTX
    (Format.ORT, 4, b"ORTM"),
    (Format.TFLITE, 4, b"TFL3"),
    (Format.HDF5, 0, b"\x89HDF\r\n\x1a\n"),
    (Format.PICKLE, 0, b"\x80\x02"),
    (Format.PICKLE, 0, b"\x80\x03"),
    (Format.PICKLE, 0, b"\x80\x04"),
    (Format.PICKLE, 0, b"\x80\x05"),
)

# Field numbers of onnx.ModelProto. The graph is field 7; every model has it.
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_GRAPH_FIELD = 7
_FUNCTIONS_FIELD = 25


def format_of(model: str | os.PathLike[str] | bytes) -> Format:
    """Return what a file, a folder, or the bytes of a file are, judged by their content.

    Only a few bytes are read, whatever the size of the file.

    Raises:
        ModelNotFoundError: There is nothing at the path.
        ModelFormatError: The file is empty, truncated, none of the known formats, or no file at all.
    """
    if isinstance(model, bytes):
        return _format_of_file("the bytes given", io.BytesIO(model))
    path = Path(model)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return Format.SAVED_MODEL
        if path.resolve().name.startswith("ELG_i") or (path / "checkpoints" / "hourglass").is_dir():
            return Format.GAZEML
        if (path / "checkpoint").is_file() or any(path.glob("*.index")):
            return Format.CHECKPOINT
        raise ModelFormatError(
            f"{path} is a folder without a saved_model.pb or a checkpoint; expected a model file or a SavedModel"
        )
    if not path.exists():
        raise ModelNotFoundError(f"no model file at {path}")
    if not path.is_file():  # whoever opens a pipe waits for somebody to write into it, perhaps for ever
        raise ModelFormatError(
            f"{path} is a pipe or a device; a model is read more than once, so write it to a file first"
        )
    with path.open("rb") as file:
        return _format_of_file(str(path), file)


def _format_of_file(name: str, file: BinaryIO) -> Format:
    head = file.read(16)
    if not head:
        raise ModelFormatError(f"{name} is empty; expected a model file")
    for kind, start, mark in _MARKS:
        if head[start : start + len(mark)] == mark:
            return kind
    if head.startswith(b"version https://"):
        raise ModelFormatError(f"{name} is a Git LFS pointer, not the model itself; fetch it with: git lfs pull")
    if head.startswith(b"PK\x03\x04"):
        return _format_of_zip(name, file)
    return _format_of_protobuf(name, file)


def _format_of_zip(name: str, file: BinaryIO) -> Format:
    try:
        members = zipfile.ZipFile(file).namelist()
    # A header may also ask for a version that Python does not have, or hold names and sizes that are none.
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OverflowError, ValueError, struct.error) as error:
        raise ModelFormatError(f"{name} begins as a zip archive but is truncated or corrupt ({error})") from error
    if "config.json" in members and any(member.endswith(".weights.h5") for member in members):
        return Format.KERAS
    if any(member.endswith(("/models/model.json", "serialized_exported_program.json")) for member in members):
        return Format.TORCH_PROGRAM
    if any("/code/" in member for member in members):
        return Format.TORCHSCRIPT
    if any(member.endswith((".pkl", "/byteorder")) for member in members):
        return Format.TORCH
    raise ModelFormatError(f"{name} is a zip archive, but neither a Keras nor a PyTorch model")


def _format_of_protobuf(name: str, file: BinaryIO) -> Format:
    """Walk the outermost fields of a protobuf message, skipping over what they hold."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    fields: list[int] = []
    end = 0
    try:
        while end < size:
            key = read_varint(file)
            number, wire = key >> 3, key & 7
            if not fields and (number, wire) == (1, 2):
                return _frozen_graph_or_unknown(name, file, size)
            if number not in _MODEL_FIELDS or wire not in (0, 2):
                raise _unknown(name)
            fields.append(number)
            length = read_varint(file)
            end = file.tell() + (length if wire == 2 else 0)
            file.seek(min(end, size))  # a damaged length may be more than any file can have
    except EOFError:
        raise _unknown(name) from None
    if end > size:
        if _GRAPH_FIELD in fields:
            raise ModelFormatError(
                f"{name} is a truncated ONNX model: {size} bytes are there, at least {end} were written. "
                "Copy or export it again"
            )
        raise _unknown(name)
    if _GRAPH_FIELD in fields:
        return Format.ONNX
    if set(fields) == {1, 2}:
        return Format.SAVED_MODEL
    raise _unknown(name)


def has_functions(file: BinaryIO) -> bool:
    """Whether an ONNX file has functions of its own; only its outermost fields are looked at."""
    with suppress(EOFError):
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        while file.tell() < size:
            key = read_varint(file)
            if key >> 3 == _FUNCTIONS_FIELD:
                return True
            length = read_varint(file)
            if key & 7 == 2:
                file.seek(min(file.tell() + length, size))
    return False


def _frozen_graph_or_unknown(name: str, file: BinaryIO, size: int) -> Format:
    """A GraphDef is a row of nodes, its field 1; a MetaGraphDef has one field 1, and the GraphDef for field 2.

    A node begins with its name, which is its field 1 and a string.
    """
    end = read_varint(file) + file.tell()
    if end > size:
        raise _unknown(name)
    is_node = file.read(1) == b"\x0a"
    file.seek(end)
    if file.read(1) == b"\x12":
        return Format.CHECKPOINT
    if is_node:
        return Format.FROZEN_GRAPH
    raise _unknown(name)


def _unknown(name: str) -> ModelFormatError:
    return ModelFormatError(
        f"{name} is no model that onepass knows: not ONNX, a TensorRT engine, or a network of TensorFlow, Keras, "
        "TFLite or PyTorch; is it damaged?"
    )


def read_varint(file: BinaryIO) -> int:
    """Read a whole number as protobuf (and LevelDB) write it: seven bits a byte, the lowest first.

    Raises:
        EOFError: The file ends before the number does, or it takes more than 64 bits.
    """
    value = shift = 0
    while shift < 64:
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise EOFError
