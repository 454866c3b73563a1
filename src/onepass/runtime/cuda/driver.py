"""The CUDA driver through NVIDIA's Python binding: availability, GPUs, and status codes."""

from __future__ import annotations

from typing import Any

from onepass._errors import BackendError, DeviceError
from onepass._optional import optional

_NO_RUN = "Engines and the provider 'cuda' need a GPU; an ONNX file runs without: onepass.load('model.onnx')"


def load_driver() -> Any:
    """Return the driver binding.

    Raises:
        MissingExtraError: The binding is not installed.
    """
    return optional("cuda.bindings.driver", extra="cuda", purpose="Running a model on an NVIDIA GPU")


def device_count() -> int:
    """Return the number of GPUs that this process can see.

    Raises:
        DeviceError: There is no driver, or no GPU; the message says which.
        MissingExtraError: The Python binding is not installed.
    """
    driver = load_driver()
    try:
        (status,) = driver.cuInit(0)
    except RuntimeError as error:  # raised by the binding if libcuda is missing
        raise DeviceError(f"no NVIDIA driver on this machine ({error}). {_NO_RUN}") from error
    if status == driver.CUresult.CUDA_ERROR_NO_DEVICE:
        raise DeviceError(f"the NVIDIA driver finds no GPU (CUDA_VISIBLE_DEVICES may hide it). {_NO_RUN}")
    if status:
        raise DeviceError(f"the NVIDIA driver failed to start: {describe(driver, status)}. {_NO_RUN}")
    return int(checked(driver, "cuDeviceGetCount", driver.cuDeviceGetCount()))


def gpu_of(address: int) -> int:
    """Return the number of the GPU that an address belongs to.

    Raises:
        BackendError: The address is unknown to CUDA.
    """
    driver = load_driver()
    kinds = driver.CUpointer_attribute

    def asked(wanted: Any) -> int:
        return int(checked(driver, "cuPointerGetAttribute", driver.cuPointerGetAttribute(wanted, address)))

    # Through the context, if there is one: some versions of cuda-bindings (such as 13.3) return 0 for every ordinal.
    context = asked(kinds.CU_POINTER_ATTRIBUTE_CONTEXT)
    if not context:
        return asked(kinds.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
    before = checked(driver, "cuCtxGetCurrent", driver.cuCtxGetCurrent())
    checked(driver, "cuCtxSetCurrent", driver.cuCtxSetCurrent(driver.CUcontext(context)))
    try:
        return int(checked(driver, "cuCtxGetDevice", driver.cuCtxGetDevice()))
    finally:
        checked(driver, "cuCtxSetCurrent", driver.cuCtxSetCurrent(before))


def describe(driver: Any, status: Any) -> str:
    """Return CUDA's name and description of a status."""
    _, name = driver.cuGetErrorName(status)
    _, text = driver.cuGetErrorString(status)
    return f"{(name or b'').decode()} ({(text or b'').decode()})"


def checked(driver: Any, name: str, result: tuple[Any, ...], *, wanted: int | None = None) -> Any:
    """Return the value that a driver function returned after its status.

    Raises:
        BackendError: The status is an error; the message has the function's name and CUDA's description.
    """
    status, *values = result
    if status == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY and wanted is not None:
        raise BackendError(f"out of memory: {name} failed to allocate {wanted:,} bytes")
    if status:
        raise BackendError(f"{name} failed: {describe(driver, status)}")
    return values[0] if values else None
