"""Explain why ONNX Runtime cannot prepare a model: what the file needs, what is installed, what to do."""

from __future__ import annotations

import re

from onepass._errors import BackendError, DeviceError, ModelFormatError, OnepassError, UnsupportedModelError

# Errors that ONNX Runtime raises while it prepares a model, and ours for each.
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

# ONNX Runtime's messages and our explanations; its own message follows.
_REASONS = {
    r"Unsupported model IR version: (?P<has>\d+), max supported IR version: (?P<most>\d+)": (
        "has ONNX IR version {has}, but {here} supports versions up to {most}. Install a newer onnxruntime, or export "
        "the model again with an older onnx; if the model uses no newer features, set its ir_version to {most}"
    ),
    r"Opset (?P<has>\d+) is under development.* for domain (?P<domain>\S+) is till opset (?P<most>\d+)": (
        "uses opset {has} of {domain}, but {here} supports opsets up to {most}. Install a newer onnxruntime, or "
        "export the model again with an older opset"
    ),
    r"Fatal error: (?P<domain>\S+):(?P<operator>\S+)\(-?\d+\) is not a registered function/op": (
        "uses the operator {operator} of {domain}, which is neither a standard ONNX operator nor registered in {here}. "
        "Register the library that contains it with options.register_custom_ops_library(file) and pass "
        "session_options=options, or export the model again without it"
    ),
    r"No Op registered for (?P<operator>\S+) with domain_version of (?P<has>\d+)": (
        "uses the operator {operator}, which does not exist in opset {has}. Export the model again with a newer opset, "
        "or declare the operator's domain"
    ),
    r"Could not find an implementation for (?P<operator>\w+)\(\d+\) node with name '(?P<node>[^']*)'": (
        "uses the operator {operator} (node {node!r}) with types that {here} does not support on this device. Cast in "
        "the model to a supported type, such as float32, or choose another provider"
    ),
    r"Type '(?P<kind>[^']*)' of input parameter \((?P<tensor>[^)]*)\) of operator \((?P<operator>[^)]*)\)": (
        "passes a {kind} as input {tensor!r} of the operator {operator}, which its opset does not allow. Cast it in "
        "the model, or export the model again with a newer opset"
    ),
}


_RECORDING = re.compile(
    r"This session cannot use the graph capture feature as requested by the user as (?P<why>.*)", re.DOTALL
)
_CUDA = re.compile(r"CU(DA|DNN|BLAS) failure \d+|CU(DA|DNN|BLAS) error", re.IGNORECASE)


def refusal(error: Exception, name: str, *, version: str) -> OnepassError:
    """Return our error for an error that ONNX Runtime raised while it prepared a model.

    Args:
        error: ONNX Runtime's error.
        name: Name of the model in messages.
        version: Version of ONNX Runtime.
    """
    if _CUDA.search(str(error)):
        return DeviceError(f"ONNX Runtime cannot prepare {name} on the GPU: {error}")
    kind = PREPARE_ERRORS.get(type(error).__name__, BackendError)
    for pattern, reason in _REASONS.items():
        found = re.search(pattern, str(error), flags=re.DOTALL)
        if found is not None:
            here = f"onnxruntime {version}"
            return UnsupportedModelError(
                f"{name} {reason.format(here=here, **found.groupdict())}. Its message: {error}"
            )
    if issubclass(kind, ModelFormatError):
        return kind(f"{name} is not a valid ONNX model: ONNX Runtime cannot read it: {error}")
    return kind(f"ONNX Runtime cannot prepare {name}: {error}")
