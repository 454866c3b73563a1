"""Write the outputs of a call to files, by name."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from onepass._errors import InputError
from onepass.artifacts import replacing
from onepass.outputs import Array, Outputs
from onepass.tensors import STRING, dtype_name

_INDEX = "outputs.json"
_MAX_STEM = 180


def write_outputs(outputs: Outputs, path: str | os.PathLike[str]) -> Path:
    """Write every output to `path`, in the form that its ending asks for; folders on the way are made.

    * ``.npz``: one array a name, as ``numpy.load`` reads it.
    * ``.json``: ``{"name": {"dtype": …, "shape": […], "data": nested lists}}``; NaN and infinities are the strings
      ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, complex numbers pairs.
    * no ending: a folder with one ``.npy`` a name, and ``outputs.json``, which lists file, dtype and shape in the
      model's order. Characters that a file name cannot have are percent-encoded. What an earlier list names, and
      this one does not, is removed.

    NumPy's files do not know bfloat16 and float8; those are stored as float32, which holds every one of their values.
    Strings are stored as NumPy's text of fixed width, which needs no pickle to be read.

    Returns:
        The path written.

    Raises:
        InputError: The ending is another.
    """
    path = check_path(path)
    ending = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not ending:
        _write_folder(outputs, path)
    elif ending == ".npz":
        _write_npz(outputs, path)
    else:
        _write_text(path, json.dumps({name: _json_form(array) for name, array in outputs.items()}))
    return path


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path if `write_outputs` can tell from it what to write; worth asking before a long computation.

    Raises:
        InputError: The ending is none of those it writes.
    """
    path = Path(path)
    if path.suffix.lower() not in ("", ".npz", ".json") and not path.is_dir():
        raise InputError(f"cannot write outputs to {path}: the ending is {path.suffix!r}, expected .npz, .json or none")
    return path


def _write_npz(outputs: Outputs, path: Path) -> None:
    # numpy.savez takes names as keywords, and so cannot store an output called "file".
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in outputs.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _storable(array), allow_pickle=False)


def _write_folder(outputs: Outputs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    former = _files_listed(folder / _INDEX)
    index = {}
    for name, array in outputs.items():
        file = _file_name(name)
        with replacing(folder / file) as temporary:
            np.save(temporary, _storable(array), allow_pickle=False)
        index[name] = {"file": file, "dtype": dtype_name(array.dtype), "shape": list(array.shape)}
    _write_text(folder / _INDEX, json.dumps(index, indent=2))
    for stale in former - {_file_name(name) for name in outputs}:
        (folder / stale).unlink(missing_ok=True)


def _file_name(name: str) -> str:
    stem = quote(name, safe=" ")
    if len(stem) > _MAX_STEM:  # file systems end at 255 bytes
        stem = f"{stem[:_MAX_STEM]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return f"{stem}.npy"


def _files_listed(index: Path) -> set[str]:
    """Return the files that an earlier call wrote into the folder."""
    try:
        files = {str(entry["file"]) for entry in json.loads(index.read_text(encoding="utf-8")).values()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return set()  # there is none, or it is somebody else's
    return {file for file in files if file.endswith(".npy") and Path(file).name == file}


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _storable(array: Array) -> Array:
    if array.dtype == STRING:
        return array.astype(np.str_)
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _json_form(array: Array) -> dict[str, Any]:
    data: Any = (array if array.dtype == STRING else _storable(array)).tolist()
    if array.dtype.kind not in "iubO":
        data = _strict(data)
    return {"dtype": dtype_name(array.dtype), "shape": list(array.shape), "data": data}


def _strict(value: Any) -> Any:
    """Replace what JSON has no number for."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if isinstance(value, complex):
        return [_strict(value.real), _strict(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
