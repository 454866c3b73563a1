"""Detect a model file's format by its content: file extensions lie, and a wrong guess ends in an obscure error."""

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
    """The formats that onepass can detect; the value is the name used in messages."""

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
"""Formats that `onepass.load` opens; all others must be converted first."""

PROGRAMS = frozenset({
    Format.SAVED_MODEL, Format.FROZEN_GRAPH, Format.CHECKPOINT, Format.KERAS, Format.HDF5, Format.TORCH_PROGRAM,
    Format.TORCHSCRIPT,
})  # fmt: skip
"""Formats that contain code, which runs when the file is opened; opening one requires the user's trust.

TensorFlow graphs can read and write files; Keras instantiates classes by name; exported PyTorch programs contain
expressions that are evaluated; TorchScript is a programming language.
"""

# Format, offset of the magic bytes, the magic bytes.
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

# Field numbers of onnx.ModelProto. Every model has field 7, the graph.
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_GRAPH_FIELD = 7
_FUNCTIONS_FIELD = 25


def format_of(model: str | os.PathLike[str] | bytes) -> Format:
    """Detect the format of a file, a folder, or a file's bytes by content.

    Only a few bytes are read, however large the file is.

    Raises:
        ModelNotFoundError: Nothing exists at the path.
        ModelFormatError: The file is empty, truncated, in no known format, or not a regular file.
    """
    if isinstance(model, bytes):
        return _format_of_file("the byte string", io.BytesIO(model))
    path = Path(model)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return Format.SAVED_MODEL
        if path.resolve().name.startswith("ELG_i") or (path / "checkpoints" / "hourglass").is_dir():
            return Format.GAZEML
        if (path / "checkpoint").is_file() or any(path.glob("*.index")):
            return Format.CHECKPOINT
        raise ModelFormatError(
            f"{path} is a folder with neither a saved_model.pb nor a checkpoint; expected a model file or a SavedModel"
        )
    if not path.exists():
        raise ModelNotFoundError(f"no model file at {path}")
    if not path.is_file():  # opening a pipe blocks until someone writes to it, perhaps forever
        raise ModelFormatError(
            f"{path} is a pipe or a device; models are read more than once, so write the model to a file first"
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
    # A header may also require an unsupported zip version, or contain invalid names and sizes.
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OverflowError, ValueError, struct.error) as error:
        raise ModelFormatError(f"{name} starts like a zip archive but is truncated or corrupt ({error})") from error
    if "config.json" in members and any(member.endswith(".weights.h5") for member in members):
        return Format.KERAS
    if any(member.endswith(("/models/model.json", "serialized_exported_program.json")) for member in members):
        return Format.TORCH_PROGRAM
    if any("/code/" in member for member in members):
        return Format.TORCHSCRIPT
    if any(member.endswith((".pkl", "/byteorder")) for member in members):
        return Format.TORCH
    raise ModelFormatError(f"{name} is a zip archive, but contains neither a Keras nor a PyTorch model")


def _format_of_protobuf(name: str, file: BinaryIO) -> Format:
    """Walk the top-level fields of a protobuf message without reading their content."""
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
            file.seek(min(end, size))  # a corrupt length may exceed every possible file size
    except EOFError:
        raise _unknown(name) from None
    if end > size:
        if _GRAPH_FIELD in fields:
            raise ModelFormatError(
                f"{name} is a truncated ONNX model: it has {size} bytes, expected at least {end}. "
                "Copy or export it again"
            )
        raise _unknown(name)
    if _GRAPH_FIELD in fields:
        return Format.ONNX
    if set(fields) == {1, 2}:
        return Format.SAVED_MODEL
    raise _unknown(name)


def has_functions(file: BinaryIO) -> bool:
    """Whether an ONNX file defines local functions; only its top-level fields are read."""
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
    """Tell a GraphDef (a sequence of nodes, field 1) from a MetaGraphDef (one field 1, then the GraphDef in field 2).

    A node starts with its name: field 1, a string.
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
        f"{name} is not in a known model format (ONNX, TensorRT engine, TensorFlow, Keras, TFLite or PyTorch); "
        "the file may be damaged"
    )


def read_varint(file: BinaryIO) -> int:
    """Read a varint as protobuf and LevelDB write it: seven bits per byte, least significant first.

    Raises:
        EOFError: The file ends within the number, or the number has more than 64 bits.
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
