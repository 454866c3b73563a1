"""The cost of opening a model: a fresh process opens it and reports time and memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from onepass._errors import BackendError, OnepassError
from onepass._programs import end_with_starter, lifeline

if TYPE_CHECKING:  # the import is measured
    from onepass.runtime import ModelSpec

_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Opening:
    """What a fresh process needs until it has a model's first outputs; medians over several processes.

    Attributes:
        cold_seconds: From the start of the process to the first outputs.
        import_seconds: Part of it: starting Python and importing onepass and the backend's libraries.
        load_seconds: Part of it: `onepass.load`.
        first_call_seconds: Part of it: the first call.
        host_bytes: Peak memory of the process from loading on, minus its memory before; None where the system does not
            report it.
        device_bytes: Memory in use on all GPUs after the first call, minus that before; None without ``nvidia-smi``.
            Changes by other processes are included.
    """

    cold_seconds: float
    import_seconds: float
    load_seconds: float
    first_call_seconds: float
    host_bytes: int | None
    device_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "cold_start_ms": self.cold_seconds * 1e3,
            "import_ms": self.import_seconds * 1e3,
            "load_ms": self.load_seconds * 1e3,
            "first_call_ms": self.first_call_seconds * 1e3,
            "host_memory_bytes": self.host_bytes,
            "device_memory_bytes": self.device_bytes,
        }


def measure_opening(
    spec: ModelSpec,
    *,
    batch: int,
    sizes: Mapping[str, int],
    shapes: Mapping[str, Sequence[int]],
    outputs: Sequence[str] | None,
    processes: int,
) -> Opening:
    """Open a model in fresh processes, one after another, and call it with the inputs of `batch_inputs`.

    Raises:
        BackendError: A process failed; the message is that of the process.
    """
    shapes = {name: list(shape) for name, shape in shapes.items()}
    job = {"spec": spec.to_json(), "batch": batch, "sizes": dict(sizes), "shapes": shapes, "outputs": outputs}
    found = [_run(job) for _ in range(processes)]

    def middle(key: str) -> float:
        return float(median(each[key] for each in found))

    memory = [each["host_bytes"] for each in found if each["host_bytes"] is not None]
    device = [each["device_bytes"] for each in found if each["device_bytes"] is not None]
    return Opening(
        middle("cold_seconds"),
        middle("import_seconds"),
        middle("load_seconds"),
        middle("first_call_seconds"),
        int(median(memory)) if memory else None,
        int(median(device)) if device else None,
    )


def _run(job: dict[str, Any]) -> dict[str, Any]:
    before = device_bytes_in_use()
    begin = time.time()
    path = job["spec"]["path"]
    with lifeline() as stdin:
        try:
            done = subprocess.run(  # noqa: S603 - this Python, this package
                [sys.executable, "-m", "onepass.bench._opening", json.dumps({**job, "begin": begin})],
                stdin=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise BackendError(
                f"{path}: opening and calling it in a separate process took more than {_TIMEOUT_SECONDS} s; ended"
            ) from error
    if done.returncode:
        raise BackendError(f"{path} did not open in a separate process: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    after = found.pop("device_bytes")
    found["device_bytes"] = None if before is None or after is None else max(0, after - before)
    return found


def device_bytes_in_use() -> int | None:
    """Return the memory in use on all NVIDIA GPUs together; None if it is unknown."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    done = subprocess.run(  # noqa: S603 - NVIDIA's own tool
        [program, "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    try:
        return sum(int(line) << 20 for line in done.stdout.split()) if done.returncode == 0 else None
    except ValueError:  # "[N/A]" where the GPU shares memory with the host
        return None


def _child(job: dict[str, Any]) -> dict[str, Any]:
    """Open the model, call it once, and return the cost."""
    from onepass.bench._inputs import batch_inputs  # noqa: PLC0415 - the import is measured
    from onepass.runtime import ModelSpec, load  # noqa: PLC0415
    from onepass.sampling import explained  # noqa: PLC0415

    imported, ready = time.perf_counter(), time.time()
    memory = _memory_bytes(peak=False)
    with load(ModelSpec.from_json(job["spec"])) as session:
        loaded = time.perf_counter()
        feeds = batch_inputs(session.signature, job["batch"], sizes=job["sizes"], shapes=job["shapes"])
        fed = time.perf_counter()
        with explained(session.signature, feeds):
            session(feeds, outputs=job["outputs"])
        called, now = time.perf_counter(), time.time()
        after = _memory_bytes(peak=True)
        return {
            "cold_seconds": now - job["begin"],
            "import_seconds": ready - job["begin"],
            "load_seconds": loaded - imported,
            "first_call_seconds": called - fed,
            "host_bytes": None if memory is None or after is None else after - memory,
            "device_bytes": device_bytes_in_use(),
        }


def _memory_bytes(*, peak: bool) -> int | None:
    """Return the current or peak memory of this process; None on systems that do not report it (Windows).

    On Linux the source is /proc, because ``ru_maxrss`` starts at the value of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        wanted = "VmHWM:" if peak else "VmRSS:"
        lines = (line.split() for line in status.read_text(encoding="ascii", errors="replace").splitlines())
        return next((int(words[1]) << 10 for words in lines if words and words[0] == wanted), None)
    try:
        import resource  # noqa: PLC0415 - not available on Windows
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


if __name__ == "__main__":
    end_with_starter()
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    try:
        print(json.dumps(_child(json.loads(sys.argv[1]))))  # noqa: T201 - the answer to the parent process
    except OnepassError as failure:
        sys.exit(str(failure))
