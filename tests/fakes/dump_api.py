"""Reads the names off real bindings of TensorRT, without TensorRT: ``python -m tests.fakes.dump_api WHEEL``.

A wheel of bindings (``tensorrt-cu12-bindings``, ``tensorrt-cu13-bindings``, 1 to 2 MB) imports once the libraries that
it names exist. Ones whose functions do nothing will do: classes, methods and enumerations are the binding's own. Prints
the names as JSON, in the form of ``api/*.json``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

# Runs in a process of its own: bindings cannot be unloaded, and two of them not be loaded together.
_DUMP = """
import importlib, json, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
sys.path.insert(0, sys.argv[1])
tensorrt = importlib.import_module(sys.argv[2])

def fact(value):
    if not isinstance(value, type):
        return type(value).__name__
    if hasattr(value, "__members__"):
        return ["enum", *value.__members__]
    return [name for name in dir(value) if not name.startswith("__")]

names = {name: fact(getattr(tensorrt, name)) for name in dir(tensorrt)}
print(json.dumps({"version": tensorrt.__version__, "names": names}))
"""


def dump_bindings(wheel: Path) -> tuple[str, dict[str, Any]]:
    """Return what the bindings in a wheel are in `facts.TENSORRT`, but for what follows the version, and their names.

    The wheel must be for the Python that runs this.
    """
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
        (binding,) = Path(scratch).glob("*/tensorrt*.so")
        folder = Path(scratch, binding.stem)
        binding.parent.rename(folder)
        make_libraries(folder / binding.name, folder)
        done = subprocess.run(
            [sys.executable, "-c", _DUMP, scratch, binding.stem],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise ImportError(f"{wheel.name} does not import over empty libraries:\n{done.stderr}")
        found = json.loads(done.stdout)
        flavour = binding.stem.removeprefix("tensorrt").removeprefix("_")
        return f"{flavour}-{found['version']}".removeprefix("-"), found["names"]


def make_libraries(binding: Path, folder: Path) -> None:
    """Make a library for each of TensorRT's that a binding names; between them they have every function it misses."""
    listing = subprocess.run(["readelf", "-d", str(binding)], capture_output=True, text=True, check=True).stdout
    missing = "\n".join(f"void {name}(void) {{}}" for name in missing_functions(binding))
    for name in re.findall(r"\(NEEDED\).*\[(libnv[^\]]*)\]", listing):
        command = ["gcc", "-shared", "-nostdlib", "-w", f"-Wl,-soname,{name}", "-x", "c", "-", "-o", str(folder / name)]
        subprocess.run(command, input=missing, text=True, check=True)


def missing_functions(binding: Path) -> list[str]:
    """Return what a binding expects of TensorRT's libraries: C's functions have a version, Python's begin with Py."""
    command = ["readelf", "-W", "--dyn-syms", str(binding)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"GLOBAL +DEFAULT +UND +(\w+)$", listing, re.MULTILINE)
    return [name for name in names if not name.startswith(("Py", "_Py"))]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        version, names = dump_bindings(Path(argument))
        sys.stdout.write(json.dumps({version: names}, indent=0) + "\n")
