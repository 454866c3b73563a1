"""Environments of their own for frameworks that are not installed beside onepass: made once, kept in the cache.

TensorFlow, say, comes for some versions of Python and NumPy only, and takes the better part of a gigabyte. An
environment is a plain virtual one with the versions below, which are known to work together.
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

# Of TensorFlow there is a build without the GPU for Linux and Windows only; on other systems there is one build.
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
    """Return the Python of the environment that has a framework; the environment is made if it is not there yet.

    Of several processes that want it at once, one makes it and the others wait.

    Raises:
        MissingExtraError: It cannot be made, for want of a network most likely.
    """
    from filelock import FileLock  # noqa: PLC0415 - where the environment is there already, nothing needs it

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
    shutil.rmtree(place, ignore_errors=True)  # of a process that was stopped halfway
    size = _SIZES.get(str(framework.extra), "2 GB")
    print(  # noqa: T201 - minutes of silence would look like a fault
        f"onepass: {framework.name} is not installed here; making an environment for it in {place} (once, {size})",
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
                f"{framework.name} is needed to open this model and is not installed, and an environment for it "
                f"cannot be made ({reason}). Install it beside onepass: {install_command(str(framework.extra))}"
            )
    (place / _DONE).touch()
