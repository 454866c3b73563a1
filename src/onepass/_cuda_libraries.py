"""Libraries of CUDA and cuDNN that ONNX Runtime's CUDA provider needs: brought in time, or named if missing."""

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
"""What brings them where no CUDA toolkit is installed."""


@functools.cache
def load_cuda_libraries() -> None:
    """Load the libraries that NVIDIA's Python packages bring, where the system's loader does not look; once.

    Nothing is printed. What is missing is told by `missing_library`, when the provider does not start.
    """
    # The provider writes to standard error by ONNX Runtime's common log, whatever a session says; what goes wrong is in
    # exceptions.
    import_onnxruntime().set_default_logger_severity(_FATAL)
    preload = getattr(import_onnxruntime(), "preload_dlls", None)
    if preload is None or importlib.util.find_spec("nvidia") is None:
        return
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        preload()


def forget_last_error() -> None:
    """Let CUDA's runtime forget what went wrong on this thread: the next kernel would be blamed for it."""
    runtime = _cuda_runtime()
    if runtime is not None:
        runtime.cudaGetLastError()


@functools.cache
def _cuda_runtime() -> Any:
    """Return the CUDA runtime that the provider has loaded, or None."""
    major = str(getattr(import_onnxruntime(), "cuda_version", "")).partition(".")[0]
    for name in (f"libcudart.so.{major}", f"cudart64_{major}.dll"):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None


def missing_library() -> str | None:
    """Return the name of a library for want of which the CUDA provider does not start; None if it is not that."""
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
