"""Run a model: `load` opens it on the backend that fits the file, a `Session` gives every output by name."""

from onepass.runtime._load import load
from onepass.runtime.backend import Backend
from onepass.runtime.session import Session

__all__ = ["Backend", "Session", "load"]
