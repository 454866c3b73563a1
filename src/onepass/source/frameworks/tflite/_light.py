"""TFLite float networks, translated without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from onepass._errors import UnsupportedModelError
from onepass.source.framework import Request
from onepass.source.frameworks.tflite._litert import TFLiteNetwork, read
from onepass.source.frameworks.tflite._translate import translated


def covers(source: Path, request: Request, opset: int) -> bool:
    """Whether `open_` returns a network that can be exported.

    Raises:
        ModelFormatError, InputError, UnsupportedModelError: The fallback could not open the file, either.
    """
    file = read(source, request)
    try:
        translated(file, opset)
    except UnsupportedModelError:
        return False
    return True


def open_(source: Path, request: Request) -> TFLiteNetwork:
    """Open a TFLite file.

    Raises:
        ModelFormatError: The file is damaged.
        UnsupportedModelError: The network has a state, or inputs without a NumPy dtype.
        InputError: The requested signature does not exist.
    """
    return TFLiteNetwork(source, read(source, request), translated)
