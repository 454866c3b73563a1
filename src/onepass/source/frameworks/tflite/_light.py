"""Float networks of TFLite, translated here; nothing of TensorFlow is needed."""

from __future__ import annotations

from pathlib import Path

from onepass._errors import UnsupportedModelError
from onepass.source.framework import Request
from onepass.source.frameworks.tflite._litert import TFLiteNetwork, read
from onepass.source.frameworks.tflite._translate import translated


def covers(source: Path, request: Request, opset: int) -> bool:
    """Whether `open_` gives a network that can be exported.

    Raises:
        ModelFormatError, InputError, UnsupportedModelError: No other way would open it either.
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
        ModelFormatError: It is damaged.
        UnsupportedModelError: It has inputs that NumPy has no dtype for, or a state.
        InputError: It has no signature of the name asked for.
    """
    return TFLiteNetwork(source, read(source, request), translated)
