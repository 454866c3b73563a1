"""Storage of an ONNX model's weights: inside the file, or beside it as external data."""

from __future__ import annotations

import math
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import onnx
from google.protobuf.message import EncodeError
from onnx.external_data_helper import uses_external_data

from onepass._errors import ModelFormatError
from onepass.artifacts import sha256_of
from onepass.drafts import Draft

# Weights start at page boundaries, so that a runtime can map the file instead of reading it.
_ALIGNMENT_BYTES = 4096
# Smaller tensors (shapes, axes) stay in the model file, where shape inference can read them.
_SMALL_BYTES = 1024
_CHUNK_BYTES = 16 << 20
# Length of the digest in the name of a weight file.
_DIGITS = 16


class _Place(NamedTuple):
    """Location of an external weight: a file beside the model, offset and length in it (None: to the file's end)."""

    location: str
    offset: int
    length: int | None


def _place(tensor: onnx.TensorProto) -> _Place:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, offset, length = entries.get("location", ""), entries.get("offset", "0"), entries.get("length")
    numbers = [number for number in (offset, length) if number is not None]
    if len(entries) < len(tensor.external_data):
        raise ModelFormatError(f"weight {tensor.name!r} has contradictory external locations")
    if not location or "\0" in location or not all(map(_is_number, numbers)):
        raise ModelFormatError(f"weight {tensor.name!r} has an invalid external location: {_shortened(entries)}")
    return _Place(location, int(offset), None if length is None else int(length))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20  # below 2^64, like every file size


def _shortened(entries: dict[str, str]) -> str:
    return ", ".join(f"{key[:40]} {value[:40]!r}" for key, value in entries.items())


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield all dense tensors stored in the model: weights and constants, including inner graphs and functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _attribute_tensors(function.attribute_proto)
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    yield from _attribute_tensors(node.attribute)


def _attribute_tensors(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
            yield from _graph_tensors(graph)


def count_numbers(model: onnx.ModelProto) -> int:
    """Return the number of elements in the model's tensors, including the values of sparse ones."""
    sparse = (each.values for each in model.graph.sparse_initializer)
    return sum(math.prod(tensor.dims) for tensor in (*sparse, *tensors(model)))


def files(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return the names of the files with the model's external weights, without duplicates."""
    return tuple({_place(t).location: None for t in tensors(model) if uses_external_data(t)})


def external_bytes(model: onnx.ModelProto, folder: Path | None) -> int:
    """Return the total size of the files with the model's external weights."""
    return 0 if folder is None else sum((folder / name).stat().st_size for name in files(model))


def message_bytes(model: onnx.ModelProto) -> int:
    """Return the size of the model as one message, without external data; over 2 GB, only the size of its weights.

    protobuf cannot compute the size of a message over 2 GB.
    """
    try:
        return int(model.ByteSize())
    except EncodeError:
        return sum(len(tensor.raw_data) for tensor in tensors(model))


def settle_folder(model: onnx.ModelProto, path: Path) -> Path:
    """Return the folder with all external weights of the model at `path`, after checking that they are complete.

    It is the folder of the path or, if the path is a symbolic link, of the link's target. In content-addressed caches,
    the model and its weights are links into one store. Such weights are redirected to the files themselves, because
    ONNX Runtime does not follow links out of a folder. A link to any other place could expose any of the user's files,
    and is rejected.

    Raises:
        ModelFormatError: A file is missing or too short, or its name or link leads out of these folders.
    """
    # A list, because tensors inside nodes share the empty name.
    places = [(tensor.name, _place(tensor)) for tensor in tensors(model) if uses_external_data(tensor)]
    for name, place in places:
        if Path(place.location).is_absolute() or ".." in Path(place.location).parts:
            raise ModelFormatError(
                f"weight {name!r} points to {place.location!r}, outside the model's folder, which is not allowed"
            )
    near, real = path.parent.resolve(), path.resolve().parent
    folder = near if all((near / place.location).is_file() for _, place in places) else real
    _check_there(places, near, folder)
    real_files = {place.location: (folder / place.location).resolve() for _, place in places}
    for location, file in real_files.items():
        if not (file.is_relative_to(near) or file.is_relative_to(real)):
            raise ModelFormatError(
                f"the weight file {location!r} is a link to {file}, outside the model's folder, which is not allowed. "
                "Put the file itself beside the model"
            )
    if all(file.is_relative_to(folder) for file in real_files.values()):
        return folder
    common = Path(os.path.commonpath([file.parent for file in real_files.values()]))
    for tensor in tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = real_files[entry.value].relative_to(common).as_posix()
    return common


def _check_there(places: Iterable[tuple[str, _Place]], near: Path, folder: Path) -> None:
    for name, place in places:
        file = folder / place.location
        if not file.is_file():
            raise ModelFormatError(
                f"weight {name!r} is stored in the file {place.location!r}, which is not in {near}; put it beside the "
                "model"
            )
        end = place.offset + (place.length or 0)
        if file.stat().st_size < end:
            raise ModelFormatError(
                f"{file} is truncated: weight {name!r} ends at byte {end}, but the file has {file.stat().st_size} "
                "bytes; copy it again"
            )


def in_memory(model: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """Return a copy of the model with all weights inside.

    Args:
        model: The model; it is not changed.
        folder: Folder of the external weights, if there are any.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model)
    if folder is not None:
        onnx.load_external_data_for_model(proto, str(folder))
    return proto


def move_to_file(model: onnx.ModelProto, beside: Path, *, folder: Path | None) -> Path:
    """Write the weights of `model` into an external file, one at a time, and make the model point there.

    The file is named by its content, so it never replaces weights that another model may point to.

    Args:
        model: Changed in place.
        beside: Path of the future model file, ``model.onnx``; the weights go into ``model.onnx.<digest>.data``.
        folder: Folder of existing external weights.

    Returns:
        The path of the weight file.
    """
    draft = Draft(beside.with_name(f"{beside.name}.data"))
    try:
        with draft.path.open("wb") as out:
            moved = [tensor for tensor in tensors(model) if _move(tensor, folder, out)]
        location = f"{beside.name}.{sha256_of(draft.path)[:_DIGITS]}.data"
        for tensor in moved:
            tensor.external_data.add(key="location", value=location)
        draft.put(location)
        return beside.with_name(location)
    except OSError as error:
        raise draft.told(error) from error
    finally:
        draft.discard()


def _move(tensor: onnx.TensorProto, folder: Path | None, out: BinaryIO) -> bool:
    """Write a tensor's data if it is large enough, and set its offset and length; return whether it was written."""
    external = uses_external_data(tensor)
    if not external and len(tensor.raw_data) < _SMALL_BYTES:
        return False
    out.seek(-out.tell() % _ALIGNMENT_BYTES, 1)
    offset = out.tell()
    if external:
        _copy_range(tensor, folder, out)
    else:
        out.write(tensor.raw_data)
        tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("offset", offset), ("length", out.tell() - offset)):
        tensor.external_data.add(key=key, value=str(value))
    return True


def moved_before(path: Path) -> list[Path]:
    """Return the files that `move_to_file` wrote for the current model at `path`, if there is one."""
    ours = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{{_DIGITS}}}\.data")
    return [file for file in path.parent.iterdir() if ours.fullmatch(file.name) and _names(path, file.name)]


def remove_unused(moved: list[Path], model: Path) -> None:
    """Remove files that `move_to_file` wrote, unless the model or another model in its folder points to them."""
    for file in moved:
        if not any(_names(each, file.name) for each in {model, *model.parent.glob("*.onnx")}):
            file.unlink(missing_ok=True)


def _names(model: Path, data: str) -> bool:
    """Whether a model file contains the name of a weight file."""
    if not model.is_file() or not model.stat().st_size:
        return False
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(data.encode()) >= 0


def _copy_range(tensor: onnx.TensorProto, folder: Path | None, out: BinaryIO) -> None:
    place = _place(tensor)
    if folder is None:
        raise ModelFormatError(f"weight {tensor.name!r} is stored in {place.location!r}, but its folder is unknown")
    with (folder / place.location).open("rb") as source:
        size = source.seek(0, 2)
        source.seek(place.offset)
        left = size - place.offset if place.length is None else place.length
        while left > 0:
            chunk = source.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise ModelFormatError(f"weight {tensor.name!r}: the file {place.location!r} is truncated")
            out.write(chunk)
            left -= len(chunk)
