"""Every error onepass raises on purpose, in one tree.

    OnepassError
    ├── ModelError              a model file cannot be used
    │   ├── ModelNotFoundError    nothing is at that path                 (also FileNotFoundError)
    │   ├── ModelFormatError      truncated, corrupt or of another format (also ValueError)
    │   ├── UnsupportedModelError sound, but beyond onepass or a backend
    │   ├── UntrustedModelError a program, which nobody has said to run
    │   ├── ConversionError     a framework failed while it opened, ran or exported a model
    │   │   └── ParityError       the ONNX model computes something else than its source
    │   └── EngineError           a TensorRT engine cannot be used here
    │       ├── EngineVersionError  another version or flavour of TensorRT built it
    │       ├── EngineDeviceError   it was built for another GPU
    │       └── EngineMismatchError it and its sidecar do not belong together, or one is damaged
    ├── InputError              what a call was given is wrong            (also ValueError)
    ├── OutputNameError         the model has no output of that name      (also KeyError)
    ├── BackendError            a backend failed while it worked          (also RuntimeError)
    │   ├── DeviceError           the provider or device asked for is not here
    │   ├── RunTimeoutError       a run was not done in the time it was given (also TimeoutError)
    │   └── BuildError            TensorRT could not build an engine; its log is in `log`
    ├── SessionClosedError      the session was used after close()        (also RuntimeError)
    ├── MediaError              a picture, video or camera cannot be read or written (also OSError)
    └── MissingExtraError       an optional dependency is not installed   (also ImportError)

What a user should know, though all goes on, is an `OnepassWarning`; a `LeftOutWarning` where an output is left out.

A message says which tensor or file, what came, what was expected and what to do. What a foreign library raised is
always kept as ``__cause__``.
"""


class OnepassError(Exception):
    """Base of every error that onepass raises on purpose."""


class OnepassWarning(UserWarning):
    """Something a user should know, though all goes on."""


class LeftOutWarning(OnepassWarning):
    """An output of a model is left out, since it is no dense tensor."""


class ModelError(OnepassError):
    """A model file cannot be used."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model at the given path."""


class ModelFormatError(ModelError, ValueError):
    """The file is truncated, corrupt, or of a format that onepass does not read here."""


class UnsupportedModelError(ModelError):
    """The model is sound but needs something that onepass or the chosen backend does not have."""


class UntrustedModelError(ModelError):
    """The file is a program: to open it is to run it, and nobody has said that it can be trusted."""


class ConversionError(ModelError):
    """A framework failed while it opened, ran or exported a model; nothing was written."""


class ParityError(ConversionError):
    """The ONNX model computes something else than the network it was made from; nothing was written."""


class EngineError(ModelError):
    """A TensorRT engine cannot be used here."""


class EngineVersionError(EngineError):
    """The engine was built by another version or flavour of TensorRT than the one here."""


class EngineDeviceError(EngineError):
    """The engine was built for another GPU."""


class EngineMismatchError(EngineError):
    """The engine and its sidecar do not belong together, or one of them is damaged."""


class InputError(OnepassError, ValueError):
    """What a call was given is wrong: an array's name, dtype, rank or size, or another argument."""


class OutputNameError(OnepassError, KeyError):
    """The model has no output, or no tensor, of the given name."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class BackendError(OnepassError, RuntimeError):
    """The backend failed while it prepared or ran the model."""


class DeviceError(BackendError):
    """The execution provider or device that was asked for is not available."""


class RunTimeoutError(BackendError, TimeoutError):
    """A run was not done in the time that it was given, and was ended."""


class BuildError(BackendError):
    """TensorRT could not build an engine.

    Attributes:
        log: What TensorRT wrote meanwhile: one message a line, its severity before it.
    """

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class SessionClosedError(OnepassError, RuntimeError):
    """The session was used after it had been closed."""


class MediaError(OnepassError, OSError):
    """A picture, video or camera cannot be read or written."""


class MissingExtraError(OnepassError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""
