"""Write the outputs of a call to files, by name."""

from __future__ import annotations

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


def write_outputs(outputs: Outputs, path: str | os.PathLike[str]) -> Path:
    """Write every output to `path`, in the form that its ending asks for.

    * ``.npz``: one array a name, as ``numpy.load`` reads it.
    * ``.json``: ``{"name": {"dtype": …, "shape": […], "data": nested lists}}``; NaN and infinities are the strings
      ``"NaN"``, ``"Infinity"``, ``"-Infinity"``, complex numbers pairs.
    * no ending: a folder with one ``.npy`` a name, and ``outputs.json``, which lists file, dtype and shape in the
      model's order. Characters that a file name cannot have are percent-encoded.

    NumPy's files do not know bfloat16 and float8; those are stored as float32, which holds every one of their values.

    Returns:
        The path written.

    Raises:
        InputError: The ending is another.
    """
    path = Path(path)
    if path.suffix == ".npz":
        _write_npz(outputs, path)
    elif path.suffix == ".json":
        _write_text(path, json.dumps({name: _json_form(array) for name, array in outputs.items()}))
    elif path.suffix == "" or path.is_dir():
        _write_folder(outputs, path)
    else:
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
    index = {}
    for name, array in outputs.items():
        file = quote(name, safe=" ") + ".npy"
        with replacing(folder / file) as temporary:
            np.save(temporary, _storable(array), allow_pickle=False)
        index[name] = {"file": file, "dtype": array.dtype.name, "shape": list(array.shape)}
    _write_text(folder / "outputs.json", json.dumps(index, indent=2))


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _storable(array: Array) -> Array:
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _json_form(array: Array) -> dict[str, Any]:
    data: Any = _storable(array).tolist()
    if array.dtype.kind not in "iub":
        data = _strict(data)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _strict(value: Any) -> Any:
    """Replace what JSON has no number for."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if isinstance(value, complex):
        return [_strict(value.real), _strict(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
