"""onepass: every output of a network, by name, from one pass.

import onepass

with onepass.load("elg.onnx") as session:
    outputs = session(eye=eyes)
outputs["landmarks"]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onepass._errors import (
    BackendError,
    BuildError,
    ConversionError,
    DeviceError,
    EngineDeviceError,
    EngineError,
    EngineMismatchError,
    EngineVersionError,
    InputError,
    MediaError,
    MissingExtraError,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
    OnepassError,
    OutputNameError,
    ParityError,
    SessionClosedError,
    UnsupportedModelError,
)
from onepass._version import __version__ as __version__

if TYPE_CHECKING:
    from onepass.engine import BuildOptions as BuildOptions
    from onepass.engine import Plan as Plan
    from onepass.engine import ShapeRange as ShapeRange
    from onepass.engine import build as build
    from onepass.graph import OnnxGraph as OnnxGraph
    from onepass.outputs import Outputs as Outputs
    from onepass.runtime import Session as Session
    from onepass.runtime import load as load
    from onepass.source import Conversion as Conversion
    from onepass.source import convert as convert
    from onepass.tensors import Signature as Signature
    from onepass.tensors import TensorSpec as TensorSpec

__all__ = [
    "BackendError",
    "BuildError",
    "BuildOptions",
    "Conversion",
    "ConversionError",
    "DeviceError",
    "EngineDeviceError",
    "EngineError",
    "EngineMismatchError",
    "EngineVersionError",
    "InputError",
    "MediaError",
    "MissingExtraError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OnepassError",
    "OnnxGraph",
    "OutputNameError",
    "Outputs",
    "ParityError",
    "Plan",
    "Session",
    "SessionClosedError",
    "ShapeRange",
    "Signature",
    "TensorSpec",
    "UnsupportedModelError",
    "build",
    "convert",
    "load",
]

# ONNX, ONNX Runtime and NumPy take ten times as long to import as the rest; a name brings its module when first used.
_LAZY = {
    "BuildOptions": "onepass.engine",
    "Conversion": "onepass.source",
    "OnnxGraph": "onepass.graph",
    "Outputs": "onepass.outputs",
    "Plan": "onepass.engine",
    "Session": "onepass.runtime",
    "ShapeRange": "onepass.engine",
    "Signature": "onepass.tensors",
    "TensorSpec": "onepass.tensors",
    "build": "onepass.engine",
    "convert": "onepass.source",
    "load": "onepass.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'onepass' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
