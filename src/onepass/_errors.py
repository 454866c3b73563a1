"""The tree of all errors that onepass raises on purpose.

    OnepassError
    ├── ModelError              a model file cannot be used
    │   ├── ModelNotFoundError    no file at that path                  (also FileNotFoundError)
    │   ├── ModelFormatError      truncated, corrupt or unknown format  (also ValueError)
    │   ├── UnsupportedModelError valid, but not supported by onepass or the backend
    │   ├── UntrustedModelError   contains code, and the caller did not set trust
    │   ├── ConversionError       a framework failed to open, run or export a model
    │   │   └── ParityError         the ONNX model computes something else than its source
    │   └── EngineError           a TensorRT engine cannot be used here
    │       ├── EngineVersionError  built by another version or flavour of TensorRT
    │       ├── EngineDeviceError   built for another GPU
    │       └── EngineMismatchError engine and sidecar do not match, or one is damaged
    ├── InputError              an argument of a call is wrong          (also ValueError)
    ├── OutputNameError         the model has no output of that name    (also KeyError)
    ├── BackendError            a backend failed                        (also RuntimeError)
    │   ├── DeviceError           the requested provider or device is not available
    │   ├── RunTimeoutError       a run exceeded its timeout            (also TimeoutError)
    │   └── BuildError            TensorRT failed to build an engine; its log is in `log`
    ├── SessionClosedError      the session was used after close()      (also RuntimeError)
    ├── MediaError              a picture, video or camera cannot be read or written (also OSError)
    └── MissingExtraError       an optional dependency is not installed (also ImportError)

A problem that stops nothing is an `OnepassWarning`; a `LeftOutWarning` if the model has outputs that calls leave out.

A message says which tensor or file is wrong, what was given, what was expected and what to do. An exception from
another library is always kept as ``__cause__``.
"""


class OnepassError(Exception):
    """Base class of all errors that onepass raises on purpose."""


class OnepassWarning(UserWarning):
    """A problem that the user should know about, but that stops nothing."""


class LeftOutWarning(OnepassWarning):
    """An output of the model is left out because it is not a dense tensor."""


class ModelError(OnepassError):
    """A model file cannot be used."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No model exists at the given path."""


class ModelFormatError(ModelError, ValueError):
    """The file is truncated, corrupt, or in a format that onepass cannot read here."""


class UnsupportedModelError(ModelError):
    """The model is valid but needs a feature that onepass or the chosen backend does not support."""


class UntrustedModelError(ModelError):
    """The file contains code that runs when it is opened, and the caller did not say that it can be trusted."""


class ConversionError(ModelError):
    """A framework failed to open, run or export a model; nothing was written."""


class ParityError(ConversionError):
    """The ONNX model does not compute what its source network computes; nothing was written."""


class EngineError(ModelError):
    """A TensorRT engine cannot be used here."""


class EngineVersionError(EngineError):
    """The engine was built by another version or flavour of TensorRT than the installed one."""


class EngineDeviceError(EngineError):
    """The engine was built for another GPU."""


class EngineMismatchError(EngineError):
    """The engine and its sidecar do not match, or one of them is damaged."""


class InputError(OnepassError, ValueError):
    """An argument of a call is wrong: an array's name, dtype, rank or size, or another argument."""


class OutputNameError(OnepassError, KeyError):
    """The model has no output, or no tensor, with the given name."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class BackendError(OnepassError, RuntimeError):
    """The backend failed to prepare or run the model."""


class DeviceError(BackendError):
    """The requested execution provider or device is not available."""


class RunTimeoutError(BackendError, TimeoutError):
    """A run exceeded its timeout and was stopped."""


class BuildError(BackendError):
    """TensorRT failed to build an engine.

    Attributes:
        log: TensorRT's log of the build: one message per line, each with its severity first.
    """

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class SessionClosedError(OnepassError, RuntimeError):
    """The session was used after it was closed."""


class MediaError(OnepassError, OSError):
    """A picture, video or camera cannot be read or written."""


class MissingExtraError(OnepassError, ImportError):
    """An optional dependency is not installed; the message contains the command that installs it."""
