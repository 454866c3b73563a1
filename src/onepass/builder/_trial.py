"""Parse models that may crash TensorRT's parser in a separate process first.

Some operator importers assume that inputs have the types and ranks that ONNX requires, and crash the process if they do
not. Some models break these rules and build nevertheless (those with float16 scales do), so they are not rejected.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import onnx

from onepass._errors import BuildError
from onepass.engine.flavor import Flavor
from onepass.graph.sound import doubt_of

_PARSE = """
import sys
from importlib import import_module
trt = import_module(sys.argv[1])
logger = trt.Logger(trt.Logger.WARNING)
network = trt.Builder(logger).create_network(int(sys.argv[2]))
trt.OnnxParser(network, logger).parse(sys.stdin.buffer.read(), *sys.argv[3:])
"""
_SECONDS = 600
_LINES = 5


def try_doubtful(flavor: Flavor, model: onnx.ModelProto, data: bytes, flags: int, where: tuple[str, ...]) -> None:
    """Parse a model in a separate process if its types and shapes are inconsistent.

    Args:
        flavor: The TensorRT.
        model: The model.
        data: The serialised model.
        flags: Creation flags of the network.
        where: A path in the folder of the external weights, if there are any.

    Raises:
        BuildError: TensorRT's parser crashed; the message has its last lines.
    """
    doubt = doubt_of(model)
    if not doubt:
        return
    command = [sys.executable, "-c", _PARSE, flavor.name, str(flags), *where]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"{flavor} did not parse the model within {_SECONDS} s (in a separate process). ONNX reports: "
            f"{doubt.strip()}"
        ) from error
    if done.returncode >= 0:  # parsed, or rejected with an error, which the parser in this process reports better
        return
    ending = signal.Signals(-done.returncode).name
    said = (done.stdout + done.stderr).decode(errors="replace")
    words = "\n".join(f"  {line}" for line in said.splitlines()[-_LINES:])
    raise BuildError(
        f"{flavor} cannot read the model: its parser crashed with {ending} (in a separate process). ONNX reports: "
        f"{doubt.strip()}" + (f"\nThe parser's last lines:\n{words}" if words else ""),
        log=said,
    )
