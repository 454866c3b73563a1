"""Trained networks of other frameworks, made into ONNX with every output as its framework gives it.

One module a framework, each of which opens a network and gives a `framework.Trained`; what comes after is the same for
all: names and order of the outputs, batch, layout, clean-up, and parity with the framework itself.
"""

from onepass.source._batch import Batch
from onepass.source._convert import Conversion, convert
from onepass.source._verify import OutputError
from onepass.source.framework import Request, Trained

__all__ = ["Batch", "Conversion", "OutputError", "Request", "Trained", "convert"]
