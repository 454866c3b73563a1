"""A framework that does what its file's name says: works, sleeps, crashes, or raises."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from onepass import InputError, OnnxGraph
from onepass.source.framework import Request
from tests.source.networks import Pretended


def open_(source: Path, request: Request) -> Pretended:
    """Open a file, or fail to."""
    if source.stem == "sleeps":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (source.parent / "child.pid").write_text(str(child.pid))
        time.sleep(600)
    if source.stem == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if source.stem == "exits":
        sys.stdout.write("no licence found")
        sys.exit(3)
    if source.stem == "raises":
        raise RuntimeError("the weights are of another layer")
    if source.stem == "refuses":
        raise InputError("there is no such signature")
    if source.stem == "lacks":
        raise ImportError("libodd.so.1: cannot open shared object file")
    graph = OnnxGraph.load(source.with_suffix(".onnx"))
    return Pretended(graph, graph)
