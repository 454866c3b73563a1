"""Why ONNX Runtime does not prepare a model, in a sentence: what the file needs, what is here, what to do."""

from __future__ import annotations

import re

from onepass._errors import BackendError, DeviceError, ModelFormatError, OnepassError, UnsupportedModelError

# What each kind of error means that ONNX Runtime can raise while it prepares a model.
PREPARE_ERRORS: dict[str, type[OnepassError]] = {
    "InvalidProtobuf": ModelFormatError,
    "NoSuchFile": ModelFormatError,
    "NoModel": ModelFormatError,
    "InvalidGraph": UnsupportedModelError,
    "InvalidArgument": UnsupportedModelError,
    "NotImplemented": UnsupportedModelError,
    "ModelRequiresCompilation": UnsupportedModelError,
    "Fail": UnsupportedModelError,
    "EPFail": DeviceError,
    "DeviceReset": DeviceError,
    "EngineError": BackendError,
    "ModelLoaded": BackendError,
    "ModelLoadCanceled": BackendError,
    "RuntimeException": BackendError,
    "NotFound": BackendError,
    "RuntimeError": BackendError,
}

# What ONNX Runtime writes, and what it comes to; its own words stand behind.
_REASONS = {
    r"Unsupported model IR version: (?P<has>\d+), max supported IR version: (?P<most>\d+)": (
        "is written in IR version {has} of ONNX, and {here} reads up to {most}. Install a newer onnxruntime, or export "
        "the model again with an older onnx; of a model that uses nothing newer set its ir_version to {most}"
    ),
    r"Opset (?P<has>\d+) is under development.* for domain (?P<domain>\S+) is till opset (?P<most>\d+)": (
        "is in opset {has} of {domain}, and {here} has operators up to opset {most}. Install a newer onnxruntime, or "
        "export the model again in an older opset"
    ),
    r"Fatal error: (?P<domain>\S+):(?P<operator>\S+)\(-?\d+\) is not a registered function/op": (
        "has the operator {operator} of {domain}, which is none of ONNX's, and {here} does not know it. Register the "
        "library that has it, options.register_custom_ops_library(file), and give session_options=options, or export "
        "the model again without that operator"
    ),
    r"No Op registered for (?P<operator>\S+) with domain_version of (?P<has>\d+)": (
        "has the operator {operator}, which opset {has} does not have. Export the model again in a newer opset, or "
        "declare the domain that the operator is of"
    ),
    r"Could not find an implementation for (?P<operator>\w+)\(\d+\) node with name '(?P<node>[^']*)'": (
        "has the operator {operator} (node {node!r}) for types that {here} cannot compute on this device. Cast in the "
        "model to a type that it has, such as float32, or name another provider"
    ),
    r"Type '(?P<kind>[^']*)' of input parameter \((?P<tensor>[^)]*)\) of operator \((?P<operator>[^)]*)\)": (
        "gives the operator {operator} a {kind} for its input {tensor!r}, which its opset does not allow. Cast it in "
        "the model, or export the model again in a newer opset"
    ),
}


_RECORDING = re.compile(
    r"This session cannot use the graph capture feature as requested by the user as (?P<why>.*)", re.DOTALL
)
_CUDA = re.compile(r"CU(DA|DNN|BLAS) failure \d+|CU(DA|DNN|BLAS) error", re.IGNORECASE)


def refusal(error: Exception, name: str, *, version: str) -> OnepassError:
    """Return the error to raise for one that ONNX Runtime raised while it prepared a model.

    Args:
        error: What it raised.
        name: What to call the model.
        version: Of ONNX Runtime.
    """
    if _CUDA.search(str(error)):
        return DeviceError(f"ONNX Runtime cannot prepare {name} on the GPU: {error}")
    kind = PREPARE_ERRORS.get(type(error).__name__, BackendError)
    for pattern, reason in _REASONS.items():
        found = re.search(pattern, str(error), flags=re.DOTALL)
        if found is not None:
            here = f"onnxruntime {version}"
            return UnsupportedModelError(f"{name} {reason.format(here=here, **found.groupdict())}. It says: {error}")
    if issubclass(kind, ModelFormatError):
        return kind(f"{name} is not a valid ONNX model: ONNX Runtime cannot read it: {error}")
    return kind(f"ONNX Runtime cannot prepare {name}: {error}")
