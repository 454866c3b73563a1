"""Machines as they are met, described as facts: what is said of each, and what mends it."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onepass._packages import install_command
from onepass.doctor import Driver, Facts, Finding, FlavorFacts, Gpu, diagnose, gather
from onepass.doctor._gather import _distribution, _kernel_module, _nvidia_devices, parse_smi
from onepass.doctor._support import newest_cuda, refusal

_H100 = Gpu(0, "NVIDIA H100 80GB HBM3", (9, 0), 80 << 30)
_RTX4090 = Gpu(0, "NVIDIA GeForce RTX 4090", (8, 9), 24 << 30)
_V100 = Gpu(0, "Tesla V100", (7, 0), 16 << 30)
_DRIVER = Driver("580.65.06", (13, 0))
_FULL = FlavorFacts("tensorrt", "10.16.1", builds=True, half="flag")
_RTX = FlavorFacts("tensorrt_rtx", "1.7.1", builds=True, half="graph")
_LEAN = FlavorFacts("tensorrt_lean", "11.4.0", builds=False, half="")

_BARE = Facts(
    python=(3, 11, 7), distribution="debian", providers=("CPUExecutionProvider",),
    packages={"onnxruntime": "1.32.0", "opencv-python-headless": "4.14.0"},
)  # fmt: skip
_CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")
_GPU_MACHINE = replace(
    _BARE, driver=_DRIVER, gpus=(_H100,), flavors=(_FULL,), nvidia_devices=("0000:01:00.0",),
    packages={**_BARE.packages, "tensorrt-cu13": "10.16.1", "cuda-bindings": "13.0.1"},
)  # fmt: skip


def _of(facts: Facts, level: str) -> list[Finding]:
    return [each for each in diagnose(facts) if each.level == level]


def _only(facts: Facts, level: str, *, of: str | None = None) -> Finding:
    found = [each for each in _of(facts, level) if of in (None, each.subject)]
    assert len(found) == 1, found
    return found[0]


def test_a_machine_without_a_gpu() -> None:
    """Without a GPU all is usable: that engines do not run is a warning, not an error."""
    assert not _of(_BARE, "error")
    assert any("ONNX models run on the CPU" in each.message for each in _of(_BARE, "warning"))
    missing = next(each for each in diagnose(_BARE) if each.subject == "TensorRT")
    full, rtx = missing.mend
    assert full == "pip install tensorrt-cu13 --extra-index-url https://pypi.nvidia.com"
    assert rtx == "pip install tensorrt-rtx-cu13  # instead, for RTX cards and to build without a GPU"


def test_a_machine_that_is_well() -> None:
    """A GPU, a driver, TensorRT and the CUDA binding that fit have nothing to mend."""
    assert {each.level for each in diagnose(_GPU_MACHINE)} == {"ok"}
    assert all(not each.mend for each in diagnose(_GPU_MACHINE))
    texts = {each.subject: each.message for each in diagnose(_GPU_MACHINE)}
    assert texts["NVIDIA driver"] == "580.65.06, supports CUDA up to 13.0"
    assert texts["GPU 0"] == "NVIDIA H100 80GB HBM3, compute capability 9.0, 80 GiB"
    assert texts["tensorrt 10.16.1"] == "builds engines (float16 by builder flag) and runs them"


def test_a_driver_too_old_for_tensorrt() -> None:
    """A TensorRT for CUDA 13 on a driver for CUDA 12: both the newer driver and the older TensorRT are offered."""
    facts = replace(_GPU_MACHINE, driver=Driver("550.54.15", (12, 4)), packages={
        **_GPU_MACHINE.packages, "cuda-bindings": "12.9.0"})  # fmt: skip
    found = _only(facts, "error")
    assert found.subject == "tensorrt 10.16.1"
    assert "requires CUDA 13 and driver 580 or later; found driver 550.54.15" in found.message
    assert any("tensorrt-cu12" in line and "pypi.nvidia.com" in line for line in found.mend)
    assert any("apt install nvidia-driver" in line for line in found.mend)


def test_rtx_on_hopper() -> None:
    """TensorRT-RTX refuses a data-centre GPU; alone that is an error, beside a full TensorRT a warning."""
    alone = replace(_GPU_MACHINE, flavors=(_RTX,), packages={**_BARE.packages, "tensorrt-rtx-cu13": "1.7.1",
                                                              "cuda-bindings": "13.0"})  # fmt: skip
    found = _only(alone, "error")
    assert "cannot run on GPU 0 (NVIDIA H100 80GB HBM3)" in found.message
    assert "7.5, 8.6, 8.9, 12.0, 12.1; this GPU has 9.0" in found.message
    assert found.mend == ("pip install tensorrt-cu13 --extra-index-url https://pypi.nvidia.com",)
    both = replace(alone, flavors=(_FULL, _RTX))
    assert not _of(both, "error")
    assert _only(both, "warning").subject == "tensorrt_rtx 1.7.1"
    assert not _of(replace(alone, gpus=(_RTX4090,)), "error")


@pytest.mark.parametrize(
    ("flavor", "gpu", "words"),
    [
        (FlavorFacts("tensorrt", "10.5.0", True, "flag"), _V100, "compute capability 7.5 or higher"),
        (FlavorFacts("tensorrt", "10.4.0", True, "flag"), _V100, ""),
        (FlavorFacts("tensorrt", "8.5.3.1", True, "flag"), _H100, ""),
        (FlavorFacts("tensorrt", "10.7.0", True, "flag"), replace(_H100, compute_capability=(12, 0)), "10.8 or later"),
        (FlavorFacts("tensorrt", "of unknown version", True, "flag"), _V100, ""),
        (_FULL, replace(_H100, compute_capability=None), ""),
        (replace(_RTX, compute_capabilities=("SM89", "SM120")), replace(_H100, compute_capability=(8, 6)), "8.9, 12.0"),
    ],
)
def test_which_tensorrt_supports_which_gpu(flavor: FlavorFacts, gpu: Gpu, words: str) -> None:
    """What NVIDIA's notes say of a version decides; what is not known is not refused."""
    reason = refusal(flavor, gpu)
    assert words in reason
    assert bool(words) == bool(reason)


def test_no_cudnn() -> None:
    """CuDNN missing for a TensorRT that needs it, or for ONNX Runtime's CUDA provider, is named with its package."""
    broken = replace(_GPU_MACHINE, flavors=(), broken_flavors={
        "tensorrt": "ImportError: libcudnn.so.8: cannot open shared object file"})  # fmt: skip
    found = _only(broken, "error")
    assert "libcudnn.so.8" in found.message
    assert found.mend[0] == "pip install nvidia-cudnn-cu13"
    assert any(line.startswith("sudo apt install libcudnn8") for line in found.mend)
    provider = replace(_GPU_MACHINE, providers=_CUDA, missing_library="libcudnn.so.9")
    found = _only(provider, "error")
    assert "libcudnn.so.9 not found" in found.message
    assert found.mend == ("pip install 'onnxruntime-gpu[cuda,cudnn]'",)
    assert not _of(replace(provider, missing_library=None), "error")


def test_a_gpu_that_nothing_uses() -> None:
    """A GPU that is there for nothing is told, with what would use it."""
    found = _only(replace(_GPU_MACHINE, flavors=(), packages=_BARE.packages), "warning", of="GPU")
    assert "unused" in found.message
    assert found.mend == ("pip uninstall -y onnxruntime", "pip install 'onnxruntime-gpu[cuda,cudnn]'")
    used = replace(_GPU_MACHINE, flavors=(), providers=_CUDA, packages=_BARE.packages)
    assert not [each for each in _of(used, "warning") if each.subject == "GPU"]
    slower = _only(used, "warning", of="CUDA from Python")
    assert "run slower on the GPU" in slower.message


@pytest.mark.parametrize("package", ["opencv-python-headless", "opencv-contrib-python"])
def test_an_opencv_that_finds_no_faces(package: str) -> None:
    """OpenCV 5 imports, and gaze does not work with it: a warning, with the version that does."""
    packages = {"onnxruntime": "1.32.0", package: "5.0.0.84"}
    found = _only(replace(_GPU_MACHINE, packages={**packages, "cuda-bindings": "13.0.1"}), "warning")
    assert "so gaze cannot find faces" in found.message
    assert found.mend == (f"pip install '{package}>=4.8,<5'",)


def test_two_tensorrts() -> None:
    """Two packages over each other are an error, two flavours of different versions a warning, two that fit neither."""
    over = replace(_GPU_MACHINE, packages={**_GPU_MACHINE.packages, "tensorrt-cu12": "10.9.0"})
    assert any("overwrite each other's files" in each.message for each in _of(over, "error"))
    beside = replace(_GPU_MACHINE, flavors=(_FULL, _LEAN))
    assert "several versions, tensorrt 10.16.1, tensorrt_lean 11.4.0" in _only(beside, "warning").message
    assert not _of(replace(_GPU_MACHINE, flavors=(_FULL, replace(_LEAN, version="10.16.1"))), "warning")


@pytest.mark.parametrize(
    ("change", "command"),
    [
        ({"distribution": "ubuntu debian"}, "sudo ubuntu-drivers install"),
        ({"distribution": "debian"}, "sudo apt install nvidia-driver"),
        ({"distribution": "fedora"}, "sudo dnf install akmod-nvidia"),
        ({"distribution": "gentoo"}, "https://www.nvidia.com/drivers"),
        ({"is_wsl": True}, "install NVIDIA's driver in Windows"),
        ({"is_jetson": True}, "sudo apt install nvidia-jetpack"),
    ],
)
def test_a_gpu_without_a_driver(change: dict[str, Any], command: str) -> None:
    """A GPU on the bus without a driver is an error, with the command of this very system."""
    facts = replace(_BARE, nvidia_devices=("0000:01:00.0",), **change)
    found = _only(facts, "error")
    assert "0000:01:00.0" in found.message
    assert found.mend[0].startswith(command)


def test_a_driver_that_does_not_answer() -> None:
    """After an update the module in the kernel is of another version: the computer is to be started again."""
    facts = replace(_BARE, driver=Driver(None, None, "Failed to initialize NVML: Driver/library version mismatch"))
    found = _only(facts, "error")
    assert "version mismatch" in found.message
    assert found.mend == ("sudo reboot",)
    lost = replace(_BARE, driver=Driver("580.65.06", None))
    assert "libcuda not found" in _only(lost, "error").message


def test_hidden_gpus() -> None:
    """CUDA_VISIBLE_DEVICES that hides every GPU is a warning, one that hides some is told."""
    assert "all GPUs are hidden" in _only(replace(_GPU_MACHINE, visible=""), "warning").message
    assert not _of(replace(_GPU_MACHINE, visible="0"), "warning")
    assert "--gpus all" in _only(replace(_GPU_MACHINE, gpus=()), "warning").message


def test_cuda_from_python() -> None:
    """Without cuda-bindings engines do not run; newer than the driver they may not either."""
    without = {name: v for name, v in _GPU_MACHINE.packages.items() if name != "cuda-bindings"}
    assert _only(replace(_GPU_MACHINE, packages=without), "error").mend == (install_command("cuda"),)
    newer = {**_GPU_MACHINE.packages, "cuda-bindings": "14.0.0"}
    assert _only(replace(_GPU_MACHINE, packages=newer), "warning").mend == ("pip install 'cuda-bindings==13.*'",)


def test_python_and_packages() -> None:
    """An old Python, a Python outside an environment, and packages over each other each have their line."""
    assert "3.10 or later" in _only(replace(_BARE, python=(3, 9, 1)), "error").message
    assert any("of the system" in each.message for each in _of(replace(_BARE, in_environment=False), "warning"))
    two = replace(_BARE, packages={**_BARE.packages, "onnxruntime-gpu": "1.30.0"})
    assert _only(two, "error").mend[0] == "pip uninstall -y onnxruntime onnxruntime-gpu"
    none = replace(_BARE, providers=(), onnxruntime_problem="ImportError: no libstdc++")
    assert "no libstdc++" in _only(none, "error").message


def test_what_nvidia_smi_says() -> None:
    """Its lines are read with and without compute capabilities, and where memory is shared."""
    text = "0, NVIDIA H100 80GB HBM3, 9.0, 81559, 580.65.06\n1, NVIDIA GB10, 12.1, [N/A], 580.65.06\n"
    version, gpus = parse_smi(text)
    assert version == "580.65.06"
    assert [(gpu.compute_capability, gpu.memory_bytes) for gpu in gpus] == [((9, 0), 81559 << 20), ((12, 1), None)]
    old = parse_smi("0, Tesla T4, 15109, 470.82.01")
    assert old[1][0].compute_capability is None
    assert old[1][0].capability_text == "unknown"
    assert parse_smi("No devices were found") == (None, ())


@pytest.mark.parametrize(
    ("driver", "cuda"), [("580.1", 13), ("570.9", 12), ("450.80", 11), ("390.1", None), (None, None)]
)
def test_cuda_of_a_driver(driver: str | None, cuda: int | None) -> None:
    """The newest CUDA that a driver runs follows from its version."""
    assert newest_cuda(driver) == cuda


def test_what_the_system_says(tmp_path: Path) -> None:
    """The bus, the kernel and the release file are read as they are written."""
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x8086", "0x030000"), ("c", "0x10de", "0x040300")):
        (tmp_path / "bus" / name).mkdir(parents=True)
        (tmp_path / "bus" / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / "bus" / name / "class").write_text(f"{kind}\n")
    (tmp_path / "bus" / "d").mkdir()
    assert _nvidia_devices(tmp_path / "bus") == ("a",)
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\n")
    assert _kernel_module(tmp_path / "version") == "580.65.06"
    assert _kernel_module(tmp_path / "none") is None
    (tmp_path / "release").write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE="debian"\n')
    assert _distribution(tmp_path / "release") == "ubuntu debian"
    assert _distribution(tmp_path / "none") == ""


def test_this_machine() -> None:
    """Here, whatever this machine is, the facts are gathered and ONNX Runtime is found."""
    facts = gather()
    assert "CPUExecutionProvider" in facts.providers
    assert facts.packages["onnxruntime"]
    subjects = [each.subject for each in diagnose(facts)]
    assert {"Python", "ONNX Runtime", "TensorFlow", "PyTorch"} <= set(subjects)


def _smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the place of NVIDIA's, before all others."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for nvidia-smi")
def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nvidia-smi says is among the facts; an old one, which knows no compute capabilities, is asked again."""
    _smi(tmp_path, "echo '0, NVIDIA L4, 8.9, 23034, 580.65.06'", monkeypatch)
    facts = gather()
    assert facts.driver is not None
    assert (facts.driver.version, facts.gpus) == ("580.65.06", (Gpu(0, "NVIDIA L4", (8, 9), 23034 << 20),))
    old = 'case "$1" in *compute_cap*) echo unknown; exit 2;; esac; echo "0, NVIDIA L4, 23034, 450.80.02"'
    _smi(tmp_path, old, monkeypatch)
    assert gather().gpus == (Gpu(0, "NVIDIA L4", None, 23034 << 20),)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for nvidia-smi")
def test_nvidia_smi_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of its failure is kept."""
    _smi(tmp_path, "echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", monkeypatch)
    facts = gather()
    assert facts.driver is not None
    assert "could not communicate" in facts.driver.problem
    assert facts.gpus == ()
