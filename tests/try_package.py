"""Try the onepass that is installed here, as a newcomer without a checkout would: `make check-package` runs this.

Run it isolated (``python -I``), so that neither this folder nor ``PYTHONPATH`` can stand in for what is missing.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

import onepass
import onepass.gaze


def files_of(package: Path) -> list[str]:
    """Return the names of a package's files, relative to it, without what Python compiled."""
    return sorted(
        str(file.relative_to(package))
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )


def check_files(source: Path) -> None:
    """Everything in the source tree is installed, in this environment, and nothing else."""
    installed = Path(onepass.__file__).parent
    assert installed.is_relative_to(sys.prefix), installed
    names = files_of(source)
    assert files_of(installed) == names, set(files_of(installed)) ^ set(names)
    assert filecmp.cmpfiles(source, installed, names, shallow=False) == (names, [], [])


def check_metadata() -> str:
    """Version and license are in the metadata; return the long description: README.md without relative links."""
    package = distribution("onepass")
    assert package.version == onepass.__version__
    assert [path.name for path in package.files or () if "licenses" in path.parts] == ["LICENSE"]
    description: str = package.metadata.get_payload()  # type: ignore[attr-defined]  # an email.message.Message
    assert re.findall(r"\]\((?!https?:)", description) == []
    assert description.startswith("# onepass\n")
    return description


def command(*words: str, status: int = 0) -> str:
    """Run the installed command and return what it printed."""
    program = Path(sys.executable).with_name("onepass")
    result = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert result.returncode == status, result
    return result.stdout + result.stderr


def check_commands() -> None:
    """The bundled network is shown and run; a missing extra's requirements are named."""
    assert command("--version") == f"onepass {onepass.__version__}\n"
    shown = json.loads(command("inspect", "elg.onnx", "--json"))
    assert [output["name"] for output in shown["outputs"]] == ["heatmaps", "landmarks", "radius"]
    command("run", "elg.onnx", "-i", "eyes.npy", "-o", "outputs.npz")
    with np.load("outputs.npz") as outputs:
        assert outputs["landmarks"].shape == (2, 18, 2)
    assert "pip install 'av>=" in command("demo", status=2)
    assert "pip install 'grpcio>=" in command("serve", "elg.onnx", status=2)


def main() -> None:
    """Try all of it in an empty folder. The source tree of the package is the first argument."""
    check_files(Path(sys.argv[1]).resolve())
    readme = check_metadata()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with as_file(files("onepass.gaze") / "data" / onepass.gaze.PACKAGED_MODELS["small"]) as model:
            shutil.copy(model, "elg.onnx")
        eyes = np.random.default_rng(0).uniform(-1, 1, (2, 1, 36, 60)).astype(np.float32)
        np.save("eyes.npy", eyes)
        check_commands()
        exec(readme.split("```python\n")[1].split("```")[0], {})
        os.chdir("/")
    versions = f"Python {sys.version.split()[0]}, NumPy {np.__version__}"
    print(f"onepass {onepass.__version__} works as installed: {versions}")  # noqa: T201 - this is a program


main()
