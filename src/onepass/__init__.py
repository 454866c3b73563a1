"""onepass: every output of a network, by name, from one pass.

import onepass

with onepass.load("elg.onnx") as session:
    outputs = session(eye=eyes)
outputs["landmarks"]
"""

from typing import TYPE_CHECKING

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
    LeftOutWarning,
    MediaError,
    MissingExtraError,
    ModelError,
    ModelFormatError,
    ModelNotFoundError,
    OnepassError,
    OnepassWarning,
    OutputNameError,
    ParityError,
    RunTimeoutError,
    SessionClosedError,
    UnsupportedModelError,
    UntrustedModelError,
)
from onepass._lazy import lazy as _lazy
from onepass._moved import install as _install
from onepass._version import __version__ as __version__

if TYPE_CHECKING:
    from onepass.builder import BuildOptions as BuildOptions
    from onepass.builder import build as build
    from onepass.engine import Plan as Plan
    from onepass.engine import ShapeRange as ShapeRange
    from onepass.graph import OnnxGraph as OnnxGraph
    from onepass.outputs import Outputs as Outputs
    from onepass.runtime import ModelSpec as ModelSpec
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
    "LeftOutWarning",
    "MediaError",
    "MissingExtraError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "ModelSpec",
    "OnepassError",
    "OnepassWarning",
    "OnnxGraph",
    "OutputNameError",
    "Outputs",
    "ParityError",
    "Plan",
    "RunTimeoutError",
    "Session",
    "SessionClosedError",
    "ShapeRange",
    "Signature",
    "TensorSpec",
    "UnsupportedModelError",
    "UntrustedModelError",
    "build",
    "convert",
    "load",
]

# Tracebacks call errors as users import them: onepass.InputError.
for _name in __all__:
    if _name in globals():
        globals()[_name].__module__ = __name__

# Importing ONNX, ONNX Runtime and NumPy takes ten times as long as the rest, so names load their modules on first use.
__getattr__, __dir__, _ = _lazy(
    __name__,
    {
        "onepass.builder": "BuildOptions build",
        "onepass.engine": "Plan ShapeRange",
        "onepass.graph": "OnnxGraph",
        "onepass.outputs": "Outputs",
        "onepass.runtime": "ModelSpec Session load",
        "onepass.source": "Conversion convert",
        "onepass.tensors": "Signature TensorSpec",
    },
)
_install()
