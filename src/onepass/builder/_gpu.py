"""The GPU that a build runs on, queried from the driver directly, without CUDA's Python packages."""

from __future__ import annotations

import ctypes
import sys
from typing import NamedTuple

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


class Gpu(NamedTuple):
    """Name and compute capability (``"9.0"``) of a GPU."""

    name: str
    compute_capability: str


def current_gpu() -> Gpu | None:
    """Return the GPU of the calling thread's CUDA context, otherwise the first GPU; None without a GPU."""
    driver = _driver()
    if driver is None:
        return None
    device, number = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuCtxGetDevice(ctypes.byref(device)) and driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(name, len(name), device)
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        numbers.append(number.value)
    return Gpu(name.value.decode(errors="replace"), f"{numbers[0]}.{numbers[1]}")


def current_context() -> int | None:
    """Return the calling thread's CUDA context, or None."""
    driver, context = _driver(), ctypes.c_void_p()
    if driver is None or driver.cuCtxGetCurrent(ctypes.byref(context)):
        return None
    return context.value


def use_context(context: int | None) -> None:
    """Make another thread's CUDA context current in the calling thread."""
    driver = _driver()
    if driver is not None and context is not None:
        driver.cuCtxSetCurrent(ctypes.c_void_p(context))


def _driver() -> ctypes.CDLL | None:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    return None if driver.cuInit(0) else driver
