"""Judge the facts: pure functions, one per component."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from onepass._cuda_libraries import INSTALL_CUDA_LIBRARIES
from onepass._packages import install_command, tensorrt_command
from onepass.doctor._facts import Facts, FlavorFacts
from onepass.doctor._support import least_driver, newest_cuda, refusal

Level: TypeAlias = Literal["ok", "warning", "error"]

_CUDA = "CUDAExecutionProvider"
_OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
# Groups of distributions that overwrite each other's files.
_RIVALS = (
    ("ONNX Runtime", ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")),
    ("OpenCV", _OPENCV),
    ("TensorRT", ("tensorrt-cu11", "tensorrt-cu12", "tensorrt-cu13")),
    ("TensorRT-RTX", ("tensorrt-rtx-cu12", "tensorrt-rtx-cu13")),
)
_INSTALL_DRIVER = {
    "ubuntu": "sudo ubuntu-drivers install",
    "debian": "sudo apt install nvidia-driver  # from the non-free components",
    "fedora": "sudo dnf install akmod-nvidia  # from RPM Fusion",
    "rhel": "sudo dnf install akmod-nvidia  # from RPM Fusion",
    "arch": "sudo pacman -S nvidia-open",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one component.

    Attributes:
        level: ``"ok"``, ``"warning"`` (a feature that may not be needed is unavailable) or ``"error"`` (an installed
            component does not work).
        subject: The component.
        message: The result of the check.
        mend: Commands, or steps, that fix the problem on this system.
    """

    level: Level
    subject: str
    message: str
    mend: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {"level": self.level, "subject": self.subject, "message": self.message, "mend": list(self.mend)}


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return the findings for a machine, in the order in which to fix problems."""
    return (
        *_python(facts),
        *_rivals(facts),
        *_onnxruntime(facts),
        *_extras(facts),
        *_driver(facts),
        *_gpus(facts),
        *_tensorrt(facts),
        *_cuda_from_python(facts),
        *_frameworks(facts),
    )


def _python(facts: Facts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 10):
        yield Finding("error", "Python", f"{version}; onepass needs 3.10 or later", ("python3.11 -m venv .venv",))
    elif not facts.in_environment and facts.system == "Linux":
        yield Finding("warning", "Python", f"{version} of the system: packages from pip may break it",
                      ("python3 -m venv .venv && . .venv/bin/activate",))  # fmt: skip
    else:
        yield Finding("ok", "Python", f"{version} on {facts.system} {facts.machine}")


def _rivals(facts: Facts) -> Iterator[Finding]:
    for subject, names in _RIVALS:
        found = [name for name in names if name in facts.packages]
        if len(found) > 1:
            listed = " and ".join(f"{name} {facts.packages[name]}" for name in found)
            yield Finding("error", subject, f"{listed} overwrite each other's files; keep one",
                          (f"pip uninstall -y {' '.join(found)}", f"pip install {found[-1]}"))  # fmt: skip


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    if not facts.providers:
        yield Finding("error", "ONNX Runtime", f"import failed: {facts.onnxruntime_problem or 'not installed'}",
                      ("pip install --force-reinstall onnxruntime",))  # fmt: skip
        return
    short = ", ".join(name.removesuffix("ExecutionProvider").lower() for name in facts.providers)
    version = facts.packages.get("onnxruntime") or facts.packages.get("onnxruntime-gpu", "")
    yield Finding("ok", "ONNX Runtime", f"{version} with {short}".strip())
    has_cuda = _CUDA in facts.providers
    if has_cuda and facts.gpus and facts.missing_library:
        yield Finding("error", "CUDA provider", f"{facts.missing_library} not found, which ONNX Runtime needs",
                      (INSTALL_CUDA_LIBRARIES,))  # fmt: skip
    if facts.gpus and not has_cuda and not facts.flavors:
        yield Finding("warning", "GPU", "unused: this ONNX Runtime is CPU-only, and TensorRT is not installed",
                      ("pip uninstall -y onnxruntime", INSTALL_CUDA_LIBRARIES))  # fmt: skip


def _extras(facts: Facts) -> Iterator[Finding]:
    if not any(name in facts.packages for name in _OPENCV):
        yield Finding("warning", "pictures", "OpenCV is not installed; gaze and picture inputs need it",
                      (install_command("gaze"),))  # fmt: skip
        return
    name = next(name for name in _OPENCV if name in facts.packages)
    version = facts.packages[name]
    if version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 5:
        yield Finding("warning", "pictures", f"{name} {version}: OpenCV 5 has no cascades, so gaze cannot find "
                      "faces", (f"pip install '{name}>=4.8,<5'",))  # fmt: skip
    else:
        yield Finding("ok", "pictures", f"{name} {version}")


def _driver(facts: Facts) -> Iterator[Finding]:
    driver = facts.driver
    if driver is not None and not driver.problem and driver.cuda is not None:
        version = driver.version or "unknown version"
        yield Finding("ok", "NVIDIA driver", f"{version}, supports CUDA up to {driver.cuda[0]}.{driver.cuda[1]}")
    elif driver is not None:
        reason = driver.problem or "libcuda not found"
        yield Finding("error", "NVIDIA driver", f"installed, but does not work: {reason}", _repair_driver(facts))
    elif facts.nvidia_devices or facts.is_jetson:
        where = ", ".join(facts.nvidia_devices) or "this Jetson"
        yield Finding("error", "NVIDIA driver", f"found a GPU ({where}), but no driver", _install_driver(facts))
    else:
        yield Finding("warning", "NVIDIA driver", "no NVIDIA GPU: ONNX models run on the CPU, engines cannot run")


def _install_driver(facts: Facts) -> tuple[str, ...]:
    if facts.is_wsl:
        return ("install NVIDIA's driver in Windows, not in WSL: https://www.nvidia.com/drivers",)
    if facts.is_jetson:
        return ("sudo apt install nvidia-jetpack",)
    for word in facts.distribution.split():
        if word in _INSTALL_DRIVER:
            return (_INSTALL_DRIVER[word], "sudo reboot")
    return ("https://www.nvidia.com/drivers",)


def _repair_driver(facts: Facts) -> tuple[str, ...]:
    problem = facts.driver.problem.lower() if facts.driver else ""
    if "mismatch" in problem:  # after an update, the kernel still runs the old module
        return ("sudo reboot",)
    if facts.is_wsl:
        return ("wsl --update  # in Windows", *_install_driver(facts))
    return ("sudo modprobe nvidia", *_install_driver(facts))


def _gpus(facts: Facts) -> Iterator[Finding]:
    for gpu in facts.gpus:
        memory = "" if gpu.memory_bytes is None else f", {gpu.memory_bytes / 2**30:.0f} GiB"
        yield Finding("ok", f"GPU {gpu.index}", f"{gpu.name}, compute capability {gpu.capability_text}{memory}")
    if facts.driver is not None and not facts.driver.problem and not facts.gpus:
        yield Finding("warning", "GPU", "the driver reports none; start containers with --gpus all")
    if facts.visible is not None and facts.gpus:
        shown = f"CUDA_VISIBLE_DEVICES is {facts.visible!r}"
        hidden = facts.visible.strip() in ("", "-1")
        text = f"{shown}: {'all GPUs' if hidden else 'other GPUs'} are hidden"
        yield Finding("warning" if hidden else "ok", "GPU", text,
                      ("unset CUDA_VISIBLE_DEVICES",) if hidden else ())  # fmt: skip


def _tensorrt(facts: Facts) -> Iterator[Finding]:
    for name, reason in facts.broken_flavors.items():
        yield Finding("error", name, f"installed, but import failed: {reason}", _mend_import(facts, name, reason))
    for flavor in facts.flavors:
        yield from _flavor(facts, flavor)
    by_version = {flavor.version for flavor in facts.flavors if flavor.name != "tensorrt_rtx"}
    if len(by_version) > 1:
        listed = ", ".join(str(flavor) for flavor in facts.flavors if flavor.name != "tensorrt_rtx")
        yield Finding(
            "warning", "TensorRT", f"several versions, {listed}: an engine runs only in the one that built it"
        )
    if not facts.flavors and not facts.broken_flavors:
        level: Level = "warning"
        yield Finding(level, "TensorRT", "not installed; engines cannot be built or run", _install_tensorrt(facts))


def _flavor(facts: Facts, flavor: FlavorFacts) -> Iterator[Finding]:
    cuda = _wheel_cuda(facts, flavor)
    newest = facts.driver.cuda if facts.driver is not None else None
    known = newest[0] if newest is not None else newest_cuda(facts.driver.version if facts.driver else None)
    if cuda is not None and known is not None and cuda > known:
        have = facts.driver.version if facts.driver is not None and facts.driver.version else f"for CUDA {known}"
        older = tensorrt_command(flavor.name, cuda=known, jetson=facts.is_jetson)
        yield Finding("error", str(flavor), f"requires CUDA {cuda} and driver {least_driver(cuda)} or later; "
                      f"found driver {have}", (*_install_driver(facts), f"{older}  # instead"))  # fmt: skip
        return
    refusals = {gpu: reason for gpu in facts.gpus if (reason := refusal(flavor, gpu))}
    for gpu, reason in refusals.items():
        others = any(not refusal(other, gpu) for other in facts.flavors if other.name != "tensorrt_dispatch")
        level: Level = "warning" if others else "error"
        mend = () if others else _install_tensorrt(facts, without=flavor.name)
        yield Finding(level, str(flavor), f"cannot run on GPU {gpu.index} ({gpu.name}): {reason}", mend)
    if not refusals or len(refusals) < len(facts.gpus):
        yield Finding("ok", str(flavor), _abilities(facts, flavor))


def _abilities(facts: Facts, flavor: FlavorFacts) -> str:
    half = {"flag": "float16 by builder flag", "graph": "float16 in the graph", "": ""}[flavor.half]
    able = f"builds engines ({half})" if flavor.builds else "runs engines, cannot build them"
    if not flavor.builds:
        return able
    return f"{able} and runs them" if facts.gpus else f"{able}; no GPU here to run them"


def _mend_import(facts: Facts, name: str, reason: str) -> tuple[str, ...]:
    major = _cuda_major(facts) or 12
    if "cudnn" in reason.lower():
        return (f"pip install nvidia-cudnn-cu{major}", "sudo apt install libcudnn8  # for TensorRT 8 of apt")
    if "libcuda" in reason.lower():
        return _install_driver(facts)
    command = tensorrt_command(name, cuda=_cuda_major(facts), jetson=facts.is_jetson)
    return (command.replace("pip install", "pip install --force-reinstall"),)


def _install_tensorrt(facts: Facts, *, without: str = "") -> tuple[str, ...]:
    """Return what to install so that this machine's GPUs are supported."""
    cuda = _cuda_major(facts)
    full = tensorrt_command(cuda=cuda, jetson=facts.is_jetson)
    if facts.is_jetson:
        return (full,)
    rtx = tensorrt_command("tensorrt_rtx", cuda=cuda, jetson=False)
    wanted = FlavorFacts("tensorrt_rtx", "1.4", builds=True, half="graph")
    runs_rtx = all(not refusal(wanted, gpu) for gpu in facts.gpus)
    choices = [full]
    if without != "tensorrt_rtx" and runs_rtx:
        choices.append(f"{rtx}  # instead, for RTX cards{'' if facts.gpus else ' and to build without a GPU'}")
    return tuple(choices)


def _wheel_cuda(facts: Facts, flavor: FlavorFacts) -> int | None:
    """Return the CUDA version that a TensorRT requires, by its package's name; None for apt packages."""
    start = f"{flavor.name.replace('_', '-')}-cu"
    found = [name.removeprefix(start)[:2] for name in facts.packages if name.startswith(start)]
    return next((int(digits) for digits in found if digits.isdigit()), None)


def _cuda_major(facts: Facts) -> int | None:
    if facts.driver is None:
        return None
    return facts.driver.cuda[0] if facts.driver.cuda is not None else newest_cuda(facts.driver.version)


def _cuda_from_python(facts: Facts) -> Iterator[Finding]:
    """Check CUDA's Python binding, which engines require and ONNX models need for full speed on a GPU."""
    if not facts.gpus or not (facts.flavors or _CUDA in facts.providers):
        return
    version = facts.packages.get("cuda-bindings")
    if version is None:
        level: Level = "error" if facts.flavors else "warning"
        needs = "running engines requires it" if facts.flavors else "without it, ONNX models run slower on the GPU"
        yield Finding(level, "CUDA from Python", f"cuda-bindings is not installed; {needs}",
                      (install_command("cuda"),))  # fmt: skip
        return
    driver = facts.driver.cuda if facts.driver is not None else None
    major = version.split(".")[0]
    if driver is not None and major.isdigit() and int(major) > driver[0]:
        yield Finding("warning", "CUDA from Python", f"cuda-bindings {version} is newer than the driver's CUDA",
                      (f"pip install 'cuda-bindings=={driver[0]}.*'",))  # fmt: skip
    else:
        yield Finding("ok", "CUDA from Python", f"cuda-bindings {version}")


def _frameworks(facts: Facts) -> Iterator[Finding]:
    """Check the frameworks, which are needed only to convert their models."""
    for subject, names in (("TensorFlow", ("tensorflow", "tensorflow-cpu")), ("PyTorch", ("torch",))):
        name = next((name for name in names if name in facts.packages), None)
        if name is None:
            yield Finding("ok", subject, "not installed; needed only to convert its models")
        else:
            yield Finding("ok", subject, f"{name} {facts.packages[name]}")
