"""Write a call's outputs to files, by name."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterable
from errno import ENOTDIR
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._output_folder import write_folder
from onepass.artifacts import replacing
from onepass.drafts import check_target, is_stream
from onepass.outputs import Array, Outputs
from onepass.tensors import STRING, dtype_name

_MAX_MEMBER_BYTES = 65_000  # slightly below the limit of zip archives


def write_outputs(outputs: Outputs, path: str | os.PathLike[str]) -> Path:
    """Write every output to `path`, in the format given by its extension; missing folders are created.

    * ``.npz``: one array per name, for ``numpy.load``.
    * ``.json``: ``{"name": {"dtype": …, "shape": […], "data": nested lists}}``; NaN and infinities become the strings
      ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, and complex numbers become pairs.
    * no extension: a folder with one ``.npy`` file per name, and ``outputs.json``, which lists file, dtype and shape in
      the model's order. Characters that file names cannot contain are percent-encoded; names that differ only in case,
      or that Windows reserves for devices, get a mark. Files of an earlier run that this run does not write are
      removed. The list always names the files of one complete run: the former or this one.

    Pipes and devices get the format of their extension, or JSON without one.

    NumPy's file formats have no bfloat16 and float8; such arrays are stored as float32, which holds all their values.
    Strings are stored as fixed-width NumPy text, which can be read without pickle.

    Returns:
        The path written.

    Raises:
        InputError: The extension is unknown, or a .npz file cannot contain one of the names.
        OSError: The path cannot be written.
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
    """Check that `write_outputs` can write to a path, and return the path; call it before a long computation.

    Raises:
        InputError: The extension is unknown, or there is none (which means a folder) and the path is a file.
        OSError: The path cannot be written.
    """
    path = Path(path)
    if path.is_dir() or is_stream(path):
        return path
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise OSError(ENOTDIR, "it is a file, expected a folder", str(above))
    if path.suffix.lower() not in ("", ".npz", ".json"):
        raise InputError(
            f"cannot write outputs to {path}: unknown extension {path.suffix!r}, expected .npz, .json or none"
        )
    if path.exists():
        check_target(path)
        if not path.suffix:
            raise InputError(
                f"cannot write outputs to {path}: a path without an extension means a folder, but a file exists there"
            )
    return path


def _write_npz(outputs: Outputs, path: Path) -> None:
    _check_members(outputs)
    # numpy.savez takes names as keyword arguments, so it cannot store an output called "file".
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in outputs.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _storable(array), allow_pickle=False)


def _check_members(names: Iterable[str]) -> None:
    """Reject names that would be read back as a different name, or as each other's."""
    names = frozenset(names)
    for name in names:
        if "\0" in name:
            why = "zip archives cut names at a null character"
        elif name.endswith(".npy") and name.removesuffix(".npy") in names:
            why = f"numpy.load would read it as {name.removesuffix('.npy')!r}"
        elif len(name.encode()) > _MAX_MEMBER_BYTES:
            why = f"the name has {len(name.encode())} bytes, the limit is {_MAX_MEMBER_BYTES}"
        else:
            continue
        raise InputError(f"output {name[:80]!r} cannot be stored in a .npz file: {why}; write a .json file or a folder")


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
    """Replace numbers that JSON does not have."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if isinstance(value, complex):
        return [_strict(value.real), _strict(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
