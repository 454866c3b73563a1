"""Run a framework in a separate process: its code cannot harm this process, and its time is limited."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from json import loads
from pathlib import Path
from typing import Any

from onepass import _errors
from onepass._errors import ConversionError, OnepassError
from onepass._programs import ending_text
from onepass.source._export import FrameworkExport
from onepass.source.framework import Framework, source_name
from onepass.source.process._child import FAILURE, JOB
from onepass.source.process._job import ExportJob

_ROOT = Path(_errors.__file__).parent
_LOG_LINES = 12

# Another environment's Python imports onepass from here, but nothing else of this environment.
_START = """
import importlib.util, sys
root, folder = sys.argv[1:]
sys.path[:] = [place for place in sys.path if place]
spec = importlib.util.spec_from_file_location("onepass", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["onepass"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["onepass"])
from onepass.source.process._child import main
main(folder)
"""
# Frameworks run on the CPU (parity refers to plain arithmetic), without log output.
_QUIET = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONWARNINGS": "",
          "ORT_DISABLE_TELEMETRY": os.environ.get("ORT_DISABLE_TELEMETRY", "1")}  # fmt: skip


def export_in_process(job: ExportJob, *, folder: Path, timeout_s: float, python: Path | None = None) -> FrameworkExport:
    """Let a framework open, export and run a source in a process of its own, and return what it gives.

    Args:
        job: What it is to do.
        folder: An empty one, for what the two processes tell each other; kept as long as the result is in use.
        timeout_s: Time limit.
        python: Interpreter of another environment with the framework; None for this one.

    Raises:
        ConversionError: The framework failed, crashed, or exceeded the time limit.
        OnepassError: See the framework's module.
    """
    framework, source = job.framework, job.source
    (folder / JOB).write_bytes(pickle.dumps(job))
    status, log = _run(_command(python, folder), timeout_s, what=f"{framework.name} with {source_name(source)}")
    if (folder / FAILURE).exists():
        raise _failure(folder, framework, source, log)
    if status:
        raise ConversionError(
            f"{framework.name} ended by {ending_text(status)} while converting {source_name(source)}{_tail(log)}"
        )
    return FrameworkExport.load(folder)


def _command(python: Path | None, folder: Path) -> list[str]:
    # -I: no modules from the working directory or from environment variables.
    isolated = [] if python is None else ["-I"]
    return [str(python or sys.executable), *isolated, "-c", _START, str(_ROOT), str(folder)]


def _run(command: Sequence[str], timeout_s: float, *, what: str) -> tuple[int, str]:
    """Run a command; return its status and its output."""
    variables = {**os.environ, **_QUIET, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as written:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=written, stderr=written, env=variables, start_new_session=True
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ConversionError(
                f"{what} did not finish within {timeout_s:g} s and was stopped; increase timeout_s= if it needs longer"
            ) from None
        finally:
            _kill(process)
        written.seek(0)
        return status, written.read().decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _failure(folder: Path, framework: Framework, source: Any, log: str) -> OnepassError:
    failure = loads((folder / FAILURE).read_text(encoding="utf-8"))
    kind = getattr(_errors, failure["kind"], None)
    if not (isinstance(kind, type) and issubclass(kind, OnepassError)) or kind is ConversionError:
        return ConversionError(
            f"{framework.name} failed to convert {source_name(source)}: {failure['message']}{_tail(log)}"
        )
    return kind(failure["message"])


def _tail(log: str) -> str:
    lines = [line for line in log.strip().splitlines() if line.strip()][-_LOG_LINES:]
    return "\n  " + "\n  ".join(lines) if lines else ""
