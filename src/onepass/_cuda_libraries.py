"""CUDA and cuDNN libraries that ONNX Runtime's CUDA provider needs: load them in time, or name the missing one."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import io
import re
from pathlib import Path
from typing import Any

from onepass._optional import import_onnxruntime

_MISSING = re.compile(r"(?P<library>lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
_FATAL = 4
INSTALL_CUDA_LIBRARIES = "pip install 'onnxruntime-gpu[cuda,cudnn]'"
"""Installs the libraries where no CUDA toolkit is installed."""


@functools.cache
def load_cuda_libraries() -> None:
    """Load the libraries from NVIDIA's Python packages, which the system's loader does not find; once.

    Nothing is printed. If the provider does not start, `missing_library` names the library that is missing.
    """
    # The provider writes to standard error through ONNX Runtime's default logger, whatever the session's log level. Its
    # errors are raised as exceptions, too.
    import_onnxruntime().set_default_logger_severity(_FATAL)
    preload = getattr(import_onnxruntime(), "preload_dlls", None)
    if preload is None or importlib.util.find_spec("nvidia") is None:
        return
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which libraries it does not find
        preload()


def forget_last_error() -> None:
    """Clear the CUDA runtime's last error on this thread, which would otherwise be blamed on the next kernel."""
    runtime = _cuda_runtime()
    if runtime is not None:
        runtime.cudaGetLastError()


@functools.cache
def _cuda_runtime() -> Any:
    """Return the CUDA runtime loaded by the provider, or None."""
    major = str(getattr(import_onnxruntime(), "cuda_version", "")).partition(".")[0]
    for name in (f"libcudart.so.{major}", f"cudart64_{major}.dll"):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None


def missing_library() -> str | None:
    """Return the name of a missing library that keeps the CUDA provider from starting, or None."""
    load_cuda_libraries()
    folder = Path(import_onnxruntime().__file__).parent / "capi"
    for provider in sorted(folder.glob("*onnxruntime_providers_cuda*")):
        try:
            ctypes.CDLL(str(provider))
        except OSError as error:
            found = _MISSING.search(str(error))
            if found is not None:
                return found["library"]
    return None
