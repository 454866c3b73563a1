"""Write the outputs of a call to files, by name."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._output_folder import write_folder
from onepass.artifacts import replacing
from onepass.drafts import check_target, is_stream
from onepass.outputs import Array, Outputs
from onepass.tensors import STRING, dtype_name

_MAX_MEMBER_BYTES = 65_000  # a little below what a zip archive can say


def write_outputs(outputs: Outputs, path: str | os.PathLike[str]) -> Path:
    """Write every output to `path`, in the form that its ending asks for; folders on the way are made.

    * ``.npz``: one array a name, as ``numpy.load`` reads it.
    * ``.json``: ``{"name": {"dtype": …, "shape": […], "data": nested lists}}``; NaN and infinities are the strings
      ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, complex numbers pairs.
    * no ending: a folder with one ``.npy`` a name, and ``outputs.json``, which lists file, dtype and shape in the
      model's order. Characters that a file name cannot have are percent-encoded; names that differ by case, or that
      Windows has for devices, get a mark. What an earlier list names, and this one does not, is removed. At every
      moment the list names the files of one whole run, the former or this one.

    Into a pipe or a device goes what its ending asks for, and JSON where it has none.

    NumPy's files do not know bfloat16 and float8; those are stored as float32, which holds every one of their values.
    Strings are stored as NumPy's text of fixed width, which needs no pickle to be read.

    Returns:
        The path written.

    Raises:
        InputError: The ending is another, or a .npz cannot hold one of the names.
        OSError: It cannot be written there.
    """
    path = check_path(path)
    ending = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".npz" and not path.is_dir():
        _write_npz(outputs, path)
    elif path.is_dir() or not (ending or is_stream(path)):
        write_folder(path, ((name, _storable(array), _facts(array)) for name, array in outputs.items()))
    else:
        _write_text(
            path, json.dumps({name: {**_facts(array), "data": _data(array)} for name, array in outputs.items()})
        )
    return path


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path if `write_outputs` can tell from it what to write; worth asking before a long computation.

    Raises:
        InputError: The ending is none of those it writes, or it means a folder and a file is there.
        OSError: It cannot be written there.
    """
    path = Path(path)
    if path.is_dir() or is_stream(path):
        return path
    if path.suffix.lower() not in ("", ".npz", ".json"):
        raise InputError(f"cannot write outputs to {path}: the ending is {path.suffix!r}, expected .npz, .json or none")
    if path.exists():
        check_target(path)
        if not path.suffix:
            raise InputError(
                f"cannot write outputs to {path}: a name without an ending means a folder, and it is a file"
            )
    return path


def _write_npz(outputs: Outputs, path: Path) -> None:
    _check_members(outputs)
    # numpy.savez takes names as keywords, and so cannot store an output called "file".
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in outputs.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _storable(array), allow_pickle=False)


def _check_members(names: Iterable[str]) -> None:
    """Refuse names that would be read back as others, or as each other's."""
    names = frozenset(names)
    for name in names:
        if "\0" in name:
            why = "a zip archive cuts names at a null character"
        elif name.endswith(".npy") and name.removesuffix(".npy") in names:
            why = f"numpy.load takes it for {name.removesuffix('.npy')!r}"
        elif len(name.encode()) > _MAX_MEMBER_BYTES:
            why = f"it has {len(name.encode())} bytes, and may have {_MAX_MEMBER_BYTES}"
        else:
            continue
        raise InputError(f"output {name[:80]!r} cannot be in a .npz: {why}; write a .json or a folder")


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _storable(array: Array) -> Array:
    if array.dtype == STRING:
        return array.astype(np.str_)
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _facts(array: Array) -> dict[str, Any]:
    return {"dtype": dtype_name(array.dtype), "shape": list(array.shape)}


def _data(array: Array) -> Any:
    data: Any = (array if array.dtype == STRING else _storable(array)).tolist()
    return data if array.dtype.kind in "iubO" else _strict(data)


def _strict(value: Any) -> Any:
    """Replace what JSON has no number for."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if isinstance(value, complex):
        return [_strict(value.real), _strict(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
