"""Import a library that only an extra installs, or say which extra that is; and ONNX Runtime, which stays silent."""

import os
import sys
from importlib import import_module
from typing import Any

from onepass._errors import MissingExtraError
from onepass._packages import install_command

MAX_PIXELS = 178_956_970
"""How many pixels a picture may have by its header: Pillow's own limit, and what OpenCV is told before it is loaded."""

# What libraries look at while they are loaded. OpenCV writes to standard error beside the exceptions that it raises.
_SETTINGS = {"cv2": {"OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS), "OPENCV_LOG_LEVEL": "SILENT"}}


def optional(module: str, *, extra: str, purpose: str) -> Any:
    """Import and return a module that an extra installs.

    Args:
        module: Dotted name of the module, for example ``"cv2"``.
        extra: Name of the extra in pyproject.toml that has it.
        purpose: What it is needed for, as the subject of a sentence: ``"Reading pictures"``.

    Raises:
        MissingExtraError: The module is not installed, or is installed but does not import.
    """
    if module not in sys.modules:  # asked in the middle of work, too
        for name, value in _SETTINGS.get(module, {}).items():
            os.environ.setdefault(name, value)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{purpose} needs the Python module {error.name or module!r}, which is not installed. "
            f"Install it with: {install_command(extra)}"
        ) from error
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the Python module {module!r}, which is installed but cannot be imported ({error}). "
            f"It is normally installed with: {install_command(extra)}"
        ) from error


def import_onnxruntime() -> Any:
    """Import and return ONNX Runtime, with its telemetry off unless the user has set that otherwise.

    From 1.32 on it writes an identifier and a database of events into the user's cache when it is imported, and looks
    up the host that they go to.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module("onnxruntime")
