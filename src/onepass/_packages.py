"""Commands that install what is missing, for messages.

onepass is on no package index, and whoever registers its name there would receive our users. So messages never name
an extra of onepass to pip; they name what the extra requires, as the installed metadata lists it.
"""

from __future__ import annotations

import ctypes
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

_NEWEST_CUDA = 13
_NVIDIA_INDEX = "--extra-index-url https://pypi.nvidia.com"


def install_command(extras: str) -> str:
    """Return the shell command that installs the requirements of one extra, or of several: ``"gaze,page"``.

    Markers are evaluated for this Python and system. A source tree on ``PYTHONPATH`` has no metadata; there the command
    is the one to run in the source tree.
    """
    listed = dict.fromkeys(each for extra in extras.split(",") for each in _requirements(extra))
    if not listed:
        return f"pip install '.[{extras}]' in onepass's source tree"
    return f"pip install {' '.join(map(shlex.quote, listed))}"


def _requirements(extra: str) -> Iterator[str]:
    """Yield the requirements of an extra without their markers; another extra of onepass becomes what it requires."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - only a message needs it

    try:
        lines = requires("onepass") or ()
    except PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or not marker.evaluate({"extra": extra}):
            continue
        if requirement.name == "onepass":
            for inner in sorted(requirement.extras):
                yield from _requirements(inner)
        else:
            requirement.marker = None
            yield str(requirement)


def tensorrt_command(module: str = "tensorrt", *, cuda: int | None, jetson: bool) -> str:
    """Return the shell command that installs one of TensorRT's Python modules.

    Args:
        module: The module, one of `onepass.engine.flavor.NAMES`.
        cuda: Major version of the newest CUDA that the driver supports; None if there is no driver.
        jetson: Whether this is one of NVIDIA's Jetson boards.
    """
    if jetson:
        return "sudo apt install nvidia-jetpack"
    package = f"{module.replace('_', '-')}-cu{cuda or _NEWEST_CUDA}"
    # TensorRT for RTX is on PyPI; what PyPI has of the others fetches NVIDIA's packages while it is installed.
    return f"pip install {package}" if module == "tensorrt_rtx" else f"pip install {package} {_NVIDIA_INDEX}"


def tensorrt_command_here(module: str = "tensorrt") -> str:
    """Return the shell command that installs one of TensorRT's Python modules on this machine."""
    version = cuda_of_driver()[0]
    return tensorrt_command(module, cuda=None if version is None else version[0], jetson=is_jetson())


def builder_command() -> str:
    """Return what to run here for a TensorRT that builds engines: a command, or two of them with what each is for."""
    full = tensorrt_command_here()
    if is_jetson():
        return full
    rtx = tensorrt_command_here("tensorrt_rtx")
    return f"{full} (data-centre and desktop GPUs), or: {rtx} (RTX cards; also builds without a GPU)"


def cuda_of_driver() -> tuple[tuple[int, int] | None, str]:
    """Return major and minor version of the newest CUDA that the driver supports, and why that is not known."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None, ""
    number = ctypes.c_int(0)
    if library.cuDriverGetVersion(ctypes.byref(number)) or not number.value:
        return None, "its library libcuda does not report its version"
    return (number.value // 1000, number.value % 1000 // 10), ""


def is_jetson() -> bool:
    """Whether this machine is one of NVIDIA's Jetson boards."""
    return Path("/etc/nv_tegra_release").exists()
