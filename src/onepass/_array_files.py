"""NumPy's files from anywhere: what a header claims is looked at before it takes memory; pickles are never read."""

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
"""How much memory the arrays of one file may take unless one says otherwise."""

# What a file of NumPy's can raise that is damaged, or no such file at all.
_DAMAGED = (
    ValueError, EOFError, OSError, AttributeError, KeyError, TypeError, IndexError, SyntaxError, RecursionError,
    MemoryError, NotImplementedError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error,
    lzma.LZMAError, tokenize.TokenError,
)  # fmt: skip
_VERSIONS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,  # whose names of fields are UTF-8; plain arrays have none
}


def read_arrays(
    path: str | os.PathLike[str],
    *,
    specs: Mapping[str, TensorSpec] | None = None,
    only: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> dict[str, Array]:
    """Read a ``.npz``, member by member.

    Args:
        path: The file.
        specs: The inputs that its arrays are for, by name; an array that is none of them, or that the input cannot
            take, is refused by its header. None takes any array.
        only: The one array to read, where the others are for somebody else.
        max_bytes: How much memory its arrays may take together.

    Raises:
        InputError: It is no such file, damaged, too large, or not what the inputs take.
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
                raise InputError(f"{file} has two arrays {name!r}; which is meant cannot be known")
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
    """Read a ``.npy``; see `read_arrays`."""
    file = Path(path)
    with _explained(file), file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END) if stream.seekable() else None
        if size is not None:
            stream.seek(0)
        return _read(stream, file, "" if spec is None else spec.name, spec, max_bytes, max_bytes, size)


def _read(
    stream: IO[bytes], file: Path, name: str, spec: TensorSpec | None, left: int, max_bytes: int, size: int | None
) -> Array:
    """Read one array, of which `size` bytes are there, where its header claims no more than that and than is left."""
    shape, by_columns, dtype = _header(stream)
    what = f"array {name!r} of {file}" if name else str(file)
    if dtype.hasobject:
        raise InputError(
            f"{what} holds Python objects, whose loading runs whatever code is in them; refused. Save strings as text: "
            "array.astype(str)"
        )
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > left:
        raise InputError(
            f"{what} takes {claimed} bytes ({dtype} {shape_text(shape)}), and {max_bytes} are allowed for one file; "
            f"max_bytes={claimed} lets it in"
        )
    if spec is not None and not spec.allows(shape):
        raise InputError(f"{what} is {dtype} {shape_text(shape)}; input {spec.name!r} takes {spec}")
    if size is not None and claimed > size:
        raise EOFError(f"{claimed} bytes claimed, {size} there")
    flat = np.empty(math.prod(shape), dtype)
    _fill(stream, flat.view(np.uint8).data if claimed else memoryview(bytearray()))
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _fill(stream: IO[bytes], memory: memoryview) -> None:
    done = 0
    while done < len(memory):
        piece = stream.read(min(len(memory) - done, 1 << 20))
        if not piece:
            raise EOFError("the file ends before the array does")
        memory[done : done + len(piece)] = piece
        done += len(piece)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"no file {file}") from None
    except _DAMAGED as error:
        # NumPy's own words advise to load it unsafely.
        raise InputError(f"{file} is no NumPy file of numbers, or is damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return "a compression that is not known here"
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "it is encrypted"
    return f"{type(error).__name__}"


class ArrayRows:
    """The arrays of a ``.npz``, or the one of a ``.npy``, row by row along their first axes, never whole in memory.

    Attributes:
        names: Their names; one that is empty, of a ``.npy``.
        count: How many rows they have.
    """

    def __init__(self, file: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Look at the headers.

        Args:
            file: The file.
            max_bytes: How much memory one row of an array may take.

        Raises:
            InputError: It is no such file, damaged, holds objects or arrays by columns, or its arrays differ in length.
        """
        self._file = file
        with _explained(file), ExitStack() as opened:
            headers = {name: _header(stream) for name, stream in _streams(file, opened)}
        for name, (shape, by_columns, dtype) in headers.items():
            what = f"array {name!r} of {file}" if name else str(file)
            if dtype.hasobject or not shape or (by_columns and len(shape) > 1):
                came = "Python objects" if dtype.hasobject else "one number" if not shape else "columns, not rows"
                raise InputError(
                    f"{what} holds {came}; expected numbers or text, a row each along the first axis: "
                    "numpy.savez(file, name=numpy.ascontiguousarray(array))"
                )
            if math.prod(shape[1:]) * dtype.itemsize > max_bytes:
                raise InputError(f"a row of {what} takes more than {max_bytes} bytes ({dtype} {shape_text(shape[1:])})")
        lengths = {shape[0] for shape, _, _ in headers.values()}
        if len(lengths) != 1:
            listed = ", ".join(f"{name} {shape_text(shape)}" for name, (shape, _, _) in headers.items())
            raise InputError(f"the arrays of {file} are not equally long: {listed or 'there is none'}")
        self.names = tuple(headers)
        self.count = lengths.pop()

    def rows(self) -> Iterator[dict[str, Array]]:
        """Yield all rows: by name, and by the name ``""`` where the file is a ``.npy``.

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
    """Open each array of a file."""
    if file.suffix.lower() != ".npz":
        yield "", opened.enter_context(file.open("rb"))
        return
    archive = opened.enter_context(zipfile.ZipFile(file))
    for member in archive.infolist():
        yield member.filename.removesuffix(".npy"), opened.enter_context(archive.open(member))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether it lies by columns, and dtype."""
    version = npy.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"version {version}")
    return _VERSIONS[version](stream)
