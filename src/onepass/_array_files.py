"""Read untrusted NumPy files: headers are checked before memory is allocated, and pickles are never loaded."""

from __future__ import annotations

import lzma
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from onepass._errors import InputError
from onepass.outputs import Array
from onepass.tensors import TensorSpec, no_such_name, shape_text

DEFAULT_MAX_BYTES = 4 << 30
"""Default memory limit for the arrays of one file."""

# Exceptions that reading a damaged or foreign file can raise.
_DAMAGED = (
    ValueError, EOFError, OSError, AttributeError, KeyError, TypeError, IndexError, SyntaxError, RecursionError,
    MemoryError, NotImplementedError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip
_VERSIONS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,  # differs in the encoding of field names only; plain arrays have no fields
}


def read_arrays(
    path: str | os.PathLike[str],
    *,
    specs: Mapping[str, TensorSpec] | None = None,
    only: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> dict[str, Array]:
    """Read a ``.npz`` file, member by member.

    Args:
        path: The file.
        specs: The model's inputs by name. An array without a matching input, or whose header does not fit its input, is
            rejected. None accepts any array.
        only: Read only the array with this name.
        max_bytes: Memory limit for all arrays together.

    Raises:
        InputError: The file is not a ``.npz`` file, is damaged or too large, or does not fit the inputs.
    """
    file = Path(path)
    arrays: dict[str, Array] = {}
    with _explained(file), zipfile.ZipFile(file) as archive:
        left = max_bytes
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if only is not None and name != only:
                continue
            if name in arrays:
                raise InputError(f"{file} contains two arrays named {name!r}; names must be unique")
            if specs is not None and name not in specs:
                raise InputError(f"{file}: {no_such_name('input', name, tuple(specs))}")
            with archive.open(member) as stream:
                spec = None if specs is None else specs[name]
                arrays[name] = _read(stream, file, name, spec, left, max_bytes, member.file_size)
            left -= arrays[name].nbytes
        names = [each.removesuffix(".npy") for each in archive.namelist()]
    if only is not None and only not in arrays:
        raise InputError(f"{no_such_name('array', only, tuple(names), owner=str(file))}")
    return arrays


def read_array(
    path: str | os.PathLike[str], *, spec: TensorSpec | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> Array:
    """Read a ``.npy`` file; see `read_arrays`."""
    file = Path(path)
    with _explained(file), file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END) if stream.seekable() else None
        if size is not None:
            stream.seek(0)
        return _read(stream, file, "" if spec is None else spec.name, spec, max_bytes, max_bytes, size)


def _read(
    stream: IO[bytes], file: Path, name: str, spec: TensorSpec | None, left: int, max_bytes: int, size: int | None
) -> Array:
    """Read one array; its header must not claim more than the `size` bytes present, nor more than the memory left."""
    shape, by_columns, dtype = _header(stream)
    what = f"array {name!r} of {file}" if name else str(file)
    if dtype.hasobject:
        raise InputError(
            f"{what} contains Python objects; onepass does not load them, because loading can run arbitrary code. "
            "Save strings as text: array.astype(str)"
        )
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > left:
        raise InputError(
            f"{what} needs {claimed} bytes ({dtype} {shape_text(shape)}), but {left} of the {max_bytes} bytes allowed "
            f"for one file are left; raise the limit with max_bytes={max_bytes - left + claimed}"
        )
    if spec is not None and not spec.allows(shape):
        raise InputError(f"{what}: input {spec.name!r} expected {spec}, got {dtype} {shape_text(shape)}")
    if size is not None and claimed > size:
        raise EOFError(f"the header claims {claimed} bytes, but the file has {size}")
    flat = np.empty(math.prod(shape), dtype)
    _fill(stream, flat.view(np.uint8).data if claimed else memoryview(bytearray()))
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _fill(stream: IO[bytes], memory: memoryview) -> None:
    done = 0
    while done < len(memory):
        piece = stream.read(min(len(memory) - done, 1 << 20))
        if not piece:
            raise EOFError("the file ends within the array")
        memory[done : done + len(piece)] = piece
        done += len(piece)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"file not found: {file}") from None
    except _DAMAGED as error:
        # NumPy's own message advises to load the file unsafely.
        raise InputError(f"{file} is not a NumPy file of numbers, or is damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return "unsupported compression"
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "it is encrypted"
    return f"{type(error).__name__}"


class ArrayRows:
    """The arrays of a ``.npz`` or ``.npy`` file, read row by row along the first axis, never whole in memory.

    Attributes:
        names: Names of the arrays; a single empty name for a ``.npy`` file.
        count: Number of rows.
    """

    def __init__(self, file: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Read the headers.

        Args:
            file: The file.
            max_bytes: Memory limit for one row of an array.

        Raises:
            InputError: The file is not a NumPy file, is damaged, contains objects or column-major arrays, or its arrays
                differ in length.
        """
        self._file = file
        with _explained(file), ExitStack() as opened:
            headers = {name: _header(stream) for name, stream in _streams(file, opened)}
        for name, (shape, by_columns, dtype) in headers.items():
            what = f"array {name!r} of {file}" if name else str(file)
            if dtype.hasobject or not shape or (by_columns and len(shape) > 1):
                came = "Python objects" if dtype.hasobject else "a scalar" if not shape else "column-major data"
                raise InputError(
                    f"{what} contains {came}; expected numbers or text in row-major order, one row per item: "
                    "numpy.savez(file, name=numpy.ascontiguousarray(array))"
                )
            if math.prod(shape[1:]) * dtype.itemsize > max_bytes:
                raise InputError(f"a row of {what} needs more than {max_bytes} bytes ({dtype} {shape_text(shape[1:])})")
        lengths = {shape[0] for shape, _, _ in headers.values()}
        if len(lengths) != 1:
            listed = ", ".join(f"{name} {shape_text(shape)}" for name, (shape, _, _) in headers.items())
            raise InputError(f"the arrays in {file} must have equal lengths: {listed or 'no arrays found'}")
        self.names = tuple(headers)
        self.count = lengths.pop()

    def rows(self) -> Iterator[dict[str, Array]]:
        """Yield each row as a mapping from name to array; the name is ``""`` for a ``.npy`` file.

        Raises:
            InputError: The file is damaged.
        """
        with _explained(self._file), ExitStack() as opened:
            streams = list(_streams(self._file, opened))
            headers = [_header(stream) for _, stream in streams]
            for _ in range(self.count):
                row = {}
                for (name, stream), (shape, _, dtype) in zip(streams, headers, strict=True):
                    array = np.empty(shape[1:], dtype)
                    if array.nbytes:
                        _fill(stream, array.reshape(-1).view(np.uint8).data)
                    row[name] = array
                yield row


def _streams(file: Path, opened: ExitStack) -> Iterator[tuple[str, IO[bytes]]]:
    """Open each array in the file."""
    if file.suffix.lower() != ".npz":
        yield "", opened.enter_context(file.open("rb"))
        return
    archive = opened.enter_context(zipfile.ZipFile(file))
    for member in archive.infolist():
        yield member.filename.removesuffix(".npy"), opened.enter_context(archive.open(member))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read an array's shape, whether it is column-major, and its dtype."""
    version = npy.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"version {version}")
    return _VERSIONS[version](stream)
