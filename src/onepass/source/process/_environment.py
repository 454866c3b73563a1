"""Virtual environments for frameworks that are not installed with onepass: created once, and cached.

TensorFlow, for example, supports only some versions of Python and NumPy, and takes most of a gigabyte. The environments
have the versions below, which are known to work together.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from onepass._errors import MissingExtraError
from onepass._packages import install_command
from onepass._programs import failure_of
from onepass.artifacts import user_cache
from onepass.source.framework import Framework

# TensorFlow has a CPU-only build for Linux and Windows; other systems have a single build.
_TENSORFLOW = "tensorflow-cpu==2.21.0" if sys.platform in ("linux", "win32") else "tensorflow==2.21.0"
_BASE = ("ml-dtypes==0.6.0", "numpy==2.2.6", "onnx==1.20.1", "onnxruntime==1.23.2")
_TFLITE = ("ai-edge-litert==2.3.0", "tflite==2.18.0")
_PINS = {
    "tensorflow": (*_BASE, _TENSORFLOW, "tf2onnx==1.17.0"),
    "torch": (*_BASE, "torch==2.13.0", "onnxscript==0.7.2"),
    "tflite": (*_BASE, *_TFLITE),
    "tensorflow,tflite": (*_BASE, *_TFLITE, _TENSORFLOW, "tf2onnx==1.17.0"),
}
_SIZES = {"tflite": "300 MB"}
_DONE = "onepass-done"


def environment_python(framework: Framework, *, folder: Path | None = None) -> Path:
    """Return the Python of a framework's environment, which is created if necessary.

    If several processes need it at once, one creates it and the others wait.

    Raises:
        MissingExtraError: The environment cannot be created, most likely without network access.
    """
    from filelock import FileLock  # noqa: PLC0415 - not needed if the environment exists

    pins = _PINS[str(framework.extra)]
    key = hashlib.sha256("\n".join((sys.version, *pins)).encode()).hexdigest()[:12]
    place = (folder or user_cache("environments")) / f"{str(framework.extra).replace(',', '-')}-{key}"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (place / _DONE).exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f"{place.name}.lock")):
        if not (place / _DONE).exists():
            _make(place, python, pins, framework)
    return python


def _make(place: Path, python: Path, pins: tuple[str, ...], framework: Framework) -> None:
    shutil.rmtree(place, ignore_errors=True)  # left by an interrupted process
    size = _SIZES.get(str(framework.extra), "2 GB")
    print(  # noqa: T201 - minutes of silence would look like a hang
        f"onepass: {framework.name} is not installed; creating an environment for it in {place} (once, {size})",
        file=sys.stderr,
    )
    steps = (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-input", *pins],
    )
    for step in steps:
        reason = failure_of(step)
        if reason is not None:
            shutil.rmtree(place, ignore_errors=True)
            raise MissingExtraError(
                f"opening this model requires {framework.name}, which is not installed, and creating an environment "
                f"for it failed ({reason}). Install it with: {install_command(str(framework.extra))}"
            )
    (place / _DONE).touch()
