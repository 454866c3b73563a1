"""What is known of a machine, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU.

    Attributes:
        index: Its number for the driver.
        name: Its name.
        compute_capability: ``(9, 0)``; None if the driver is too old to tell.
        memory_bytes: Its memory; None where it shares that of the host.
    """

    index: int
    name: str
    compute_capability: tuple[int, int] | None
    memory_bytes: int | None

    @property
    def capability_text(self) -> str:
        """The compute capability as people write it."""
        return "unknown" if self.compute_capability is None else "{}.{}".format(*self.compute_capability)


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver.

    Attributes:
        version: ``"580.65.06"``; None if only its library was found.
        cuda: The newest CUDA it supports, ``(13, 0)``; None if it does not start.
        problem: Why it does not work, empty if it does.
    """

    version: str | None
    cuda: tuple[int, int] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FlavorFacts:
    """One TensorRT that imports.

    Attributes:
        name: Its Python module.
        version: Its version.
        builds: Whether it can build engines.
        half: How it computes in float16: ``"flag"``, ``"graph"`` (written into the graph) or ``""`` if it builds none.
        compute_capabilities: Those it says it builds for, ``("SM75", …)``; empty if it does not say.
    """

    name: str
    version: str
    builds: bool
    half: str
    compute_capabilities: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version, ``(0, 0)`` if it is no number."""
        words = self.version.split(".")
        if len(words) >= 2 and words[0].isdigit() and words[1].isdigit():
            return int(words[0]), int(words[1])
        return 0, 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything `diagnose` judges by.

    Attributes:
        python: Version of Python.
        system: ``"Linux"``, ``"Windows"`` or ``"Darwin"``.
        machine: ``"x86_64"``, ``"aarch64"`` ….
        distribution: ``ID`` and ``ID_LIKE`` of ``/etc/os-release``: ``"ubuntu debian"``.
        is_wsl: Whether this is Linux inside Windows.
        is_jetson: Whether this is one of NVIDIA's Jetson boards.
        in_environment: Whether Python runs in a virtual environment.
        packages: Installed distributions and their versions, names in small letters with hyphens.
        providers: Execution providers of ONNX Runtime; empty if it does not import.
        onnxruntime_problem: Why ONNX Runtime does not import.
        missing_library: What keeps ONNX Runtime's CUDA provider from starting, if a library is missing.
        nvidia_devices: NVIDIA graphics devices on the bus, by their PCI address; seen without a driver.
        driver: The NVIDIA driver, None if there is none.
        gpus: GPUs that the driver shows.
        visible: The value of ``CUDA_VISIBLE_DEVICES``, None if it is not set.
        flavors: Every TensorRT that imports.
        broken_flavors: Every TensorRT that is installed but does not import, with the reason.
    """

    python: tuple[int, int, int]
    system: str = "Linux"
    machine: str = "x86_64"
    distribution: str = ""
    is_wsl: bool = False
    is_jetson: bool = False
    in_environment: bool = True
    packages: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[str, ...] = ()
    onnxruntime_problem: str = ""
    missing_library: str | None = None
    nvidia_devices: tuple[str, ...] = ()
    driver: Driver | None = None
    gpus: tuple[Gpu, ...] = ()
    visible: str | None = None
    flavors: tuple[FlavorFacts, ...] = ()
    broken_flavors: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return asdict(self)
