"""A model that TensorRT's parser may not survive, parsed in a process of its own first.

Some importers take for granted that an operator's inputs are of the types and ranks that ONNX says, and end the
process where they are not. Models may break that and build all the same, as those with float16 scales do, and so are
not refused for it.
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
    """Parse a model in a process of its own if the types and shapes in it do not fit together.

    Args:
        flavor: The TensorRT.
        model: The model.
        data: The same, serialised.
        flags: Flags of its network.
        where: A path beside its weights, if it has any.

    Raises:
        BuildError: TensorRT's parser ended the process; the message has its last words.
    """
    doubt = doubt_of(model)
    if not doubt:
        return
    command = [sys.executable, "-c", _PARSE, flavor.name, str(flags), *where]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            f"{flavor} did not read the model in {_SECONDS} s (in a process of its own). ONNX says of the model: "
            f"{doubt.strip()}"
        ) from error
    if done.returncode >= 0:  # it is read, or refused, which is told better by the parser that we ask ourselves
        return
    ending = signal.Signals(-done.returncode).name
    said = (done.stdout + done.stderr).decode(errors="replace")
    words = "\n".join(f"  {line}" for line in said.splitlines()[-_LINES:])
    raise BuildError(
        f"{flavor} cannot read the model: its parser ended by {ending} (in a process of its own). ONNX says of the "
        f"model: {doubt.strip()}" + (f"\nThe parser's last words:\n{words}" if words else ""),
        log=said,
    )
