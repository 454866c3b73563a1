"""Collect facts about this machine. Nothing is judged here, and missing components raise no error."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from onepass._cuda_libraries import missing_library
from onepass._optional import import_onnxruntime
from onepass._packages import cuda_of_driver, is_jetson
from onepass.doctor._facts import Driver, Facts, FlavorFacts, Gpu
from onepass.engine.flavor import broken_flavors, find_flavors

_QUERY = "index,name,compute_cap,memory.total,driver_version"
_OLD_QUERY = "index,name,memory.total,driver_version"  # compute_cap came with driver 510


def gather() -> Facts:
    """Return the facts about this machine and this Python; imports ONNX Runtime and every installed TensorRT."""
    providers, problem = _onnxruntime()
    driver, gpus = _driver_and_gpus()
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        system=platform.system(),
        machine=platform.machine(),
        distribution=_distribution(),
        is_wsl="microsoft" in platform.release().lower(),
        is_jetson=is_jetson(),
        in_environment=sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ,
        packages=_packages(),
        providers=providers,
        onnxruntime_problem=problem,
        missing_library=missing_library() if "CUDAExecutionProvider" in providers else None,
        nvidia_devices=_nvidia_devices(Path("/sys/bus/pci/devices")),
        driver=driver,
        gpus=gpus,
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        flavors=tuple(
            FlavorFacts(
                each.name,
                each.version,
                each.can_build,
                "" if not each.can_build else "graph" if each.is_strongly_typed else "flag",
                tuple(each.report()["compute_capabilities"]),
            )
            for each in find_flavors()
        ),
        broken_flavors=broken_flavors(),
    )


def _packages() -> dict[str, str]:
    found = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found[name.lower().replace("_", "-")] = distribution.version
    return found


def _onnxruntime() -> tuple[tuple[str, ...], str]:
    try:
        module = import_onnxruntime()
        return tuple(module.get_available_providers()), ""
    except Exception as error:  # noqa: BLE001 - its libraries are loaded on import, and fail in many ways
        return (), f"{type(error).__name__}: {error}"


def _distribution(release: Path = Path("/etc/os-release")) -> str:
    try:
        lines = release.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return " ".join(values.get(key, "").strip('"') for key in ("ID", "ID_LIKE")).strip()


def _nvidia_devices(bus: Path) -> tuple[str, ...]:
    """Return the PCI addresses of NVIDIA graphics devices, which the bus lists with or without a driver."""
    found = []
    for device in sorted(bus.glob("*")):
        try:
            vendor = (device / "vendor").read_text().strip()
            kind = (device / "class").read_text().strip()
        except OSError:
            continue
        if vendor == "0x10de" and kind.startswith("0x03"):
            found.append(device.name)
    return tuple(found)


def _driver_and_gpus() -> tuple[Driver | None, tuple[Gpu, ...]]:
    cuda, problem = cuda_of_driver()
    program = shutil.which("nvidia-smi")
    version: str | None = None
    gpus: tuple[Gpu, ...] = ()
    if program is not None:
        status, text = _ask(program, _QUERY)
        if status:
            status, text = _ask(program, _OLD_QUERY)
        if status:
            problem = problem or " ".join(text.split())[:300]
        else:
            version, gpus = parse_smi(text)
    if version is None:
        version = _kernel_module(Path("/proc/driver/nvidia/version"))
    if version is None and cuda is None and not problem:
        return None, ()
    return Driver(version, cuda, problem), gpus


def _ask(program: str, query: str) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - NVIDIA's own tool
            [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, f"nvidia-smi does not respond: {error}"
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


def parse_smi(text: str) -> tuple[str | None, tuple[Gpu, ...]]:
    """Read the lines of ``nvidia-smi --query-gpu``, with or without compute capabilities."""
    version, gpus = None, []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) not in (4, 5) or not words[0].isdigit():
            continue
        capability = words[2] if len(words) == 5 else ""
        major, _, minor = capability.partition(".")
        known = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
        memory = words[-2]
        gpus.append(Gpu(int(words[0]), words[1], known, int(memory) << 20 if memory.isdigit() else None))
        version = words[-1]
    return version, tuple(gpus)


def _kernel_module(path: Path) -> str | None:
    """Return the version in ``/proc/driver/nvidia/version``: ``NVRM version: NVIDIA … Module  580.65.06  …``."""
    try:
        words = path.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return None
    return next((word for word in words if word.count(".") >= 1 and word.replace(".", "").isdigit()), None)
