"""The real Triton on a model repository, for tests and benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.triton.fetch import FOLDER

_WAIT_SECONDS = 300
_SERVER = FOLDER / "pytriton" / "tritonserver"


@dataclass(frozen=True)
class Addresses:
    """Where a Triton listens.

    Attributes:
        http: Host and port, as tritonclient takes them.
        grpc: The same, for gRPC.
        metrics: The same, for Prometheus.
        process: The server's process.
        log: What it has written so far lies there.
    """

    http: str
    grpc: str
    metrics: str
    process: int
    log: Path


class RefusedError(Exception):
    """Triton did not take a repository; the message is what its log says, but for tables and the merely informative."""


def why_not() -> str | None:
    """Return why the real Triton cannot run here; None if it can."""
    if not _SERVER.is_dir():
        return "no Triton here; `python -m tests.triton.fetch` fetches it"
    if not _stub().is_file():
        return f"the Triton here has no Python backend for Python {sys.version_info[0]}.{sys.version_info[1]}"
    if not _library_folder():
        return "this Python has no shared library, which Triton's Python backend takes"
    return None


@contextmanager
def real_triton(
    repository: Path, *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Addresses]:
    """Serve a model repository, all models of it, until the block ends; Python models run in this environment.

    Args:
        repository: The folder with a folder for each model.
        arguments: More arguments of ``tritonserver``.
        environment: More variables of its environment.

    Raises:
        RefusedError: It does not take the repository.
    """
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triton-")))
        http, grpc, metrics = _free_ports(3)
        log = work / "log"
        command = [
            str(_SERVER / "bin" / "tritonserver"), f"--model-repository={repository}",
            f"--backend-directory={_backends(work)}", "--exit-on-error=true", "--exit-timeout-secs=5",
            "--http-address=127.0.0.1", f"--http-port={http}",
            "--grpc-address=127.0.0.1", f"--grpc-port={grpc}",
            "--metrics-address=127.0.0.1", f"--metrics-port={metrics}", "--allow-gpu-metrics=false",
            f"--backend-config=python,shm-region-prefix-name=onepass-{os.getpid()}-{http}", *arguments,
        ]  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment(environment))
        stack.callback(_end, process)
        # Metrics come last: their server starts after a model is ready.
        for url in (f"http://127.0.0.1:{http}/v2/health/ready", f"http://127.0.0.1:{metrics}/metrics"):
            _wait_until_ready(process, url, log)
        yield Addresses(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"127.0.0.1:{metrics}", process=process.pid, log=log)


def _stub() -> Path:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return _SERVER / "python_backend_stubs" / version / "triton_python_backend_stub"


def _library_folder() -> str | None:
    """Return where Python's shared library lies."""
    folder, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDLIBRARY")
    return folder if name and ".so" in name and Path(folder, name).exists() else None


def _backends(work: Path) -> Path:
    """Put the Python backend together with what runs models in this version of Python."""
    python = work / "backends" / "python"
    python.mkdir(parents=True)
    for file in (*(_SERVER / "backends" / "python").iterdir(), _stub()):
        (python / file.name).symlink_to(file)
    return python.parent


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    # Python finds its environment by the first `python3` on the path, and its own library before any other's.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    libraries = f"{_library_folder()}:{FOLDER / 'nvidia_pytriton.libs'}"
    return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": libraries, **(more or {})}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").splitlines()
    raise RefusedError("\n".join(line for line in said if line[:1] not in {"I", "+", "|"}))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
