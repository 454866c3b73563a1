"""Facts about a machine, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU.

    Attributes:
        index: Its number in the driver.
        name: Its name.
        compute_capability: ``(9, 0)``; None if the driver is too old to report it.
        memory_bytes: Its memory; None if it shares the host's.
    """

    index: int
    name: str
    compute_capability: tuple[int, int] | None
    memory_bytes: int | None

    @property
    def capability_text(self) -> str:
        """The compute capability as text."""
        return "unknown" if self.compute_capability is None else "{}.{}".format(*self.compute_capability)


@dataclass(frozen=True, slots=True)
class Driver:
    """The NVIDIA driver.

    Attributes:
        version: ``"580.65.06"``; None if only its library was found.
        cuda: The newest CUDA it supports, ``(13, 0)``; None if it does not start.
        problem: Why it does not work; empty if it does.
    """

    version: str | None
    cuda: tuple[int, int] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FlavorFacts:
    """One TensorRT that can be imported.

    Attributes:
        name: Its Python module.
        version: Its version.
        builds: Whether it can build engines.
        half: How float16 is requested: ``"flag"``, ``"graph"`` (types in the graph) or ``""`` if it cannot build.
        compute_capabilities: The targets that it reports, ``("SM75", …)``; empty if it reports none.
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
        """Major and minor version; ``(0, 0)`` if the version is not a number."""
        words = self.version.split(".")
        if len(words) >= 2 and words[0].isdigit() and words[1].isdigit():
            return int(words[0]), int(words[1])
        return 0, 0


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts that `diagnose` uses.

    Attributes:
        python: Version of Python.
        system: ``"Linux"``, ``"Windows"`` or ``"Darwin"``.
        machine: ``"x86_64"``, ``"aarch64"`` ….
        distribution: ``ID`` and ``ID_LIKE`` of ``/etc/os-release``: ``"ubuntu debian"``.
        is_wsl: Whether this is Linux inside Windows.
        is_jetson: Whether this is an NVIDIA Jetson board.
        in_environment: Whether Python runs in a virtual environment.
        packages: Installed distributions and their versions; names in lower case with hyphens.
        providers: Execution providers of ONNX Runtime; empty if its import fails.
        onnxruntime_problem: Why the import of ONNX Runtime fails.
        missing_library: A missing library that ONNX Runtime's CUDA provider needs to start.
        nvidia_devices: PCI addresses of NVIDIA graphics devices, which are visible without a driver.
        driver: The NVIDIA driver; None if there is none.
        gpus: GPUs that the driver reports.
        visible: The value of ``CUDA_VISIBLE_DEVICES``; None if it is not set.
        flavors: Every TensorRT that can be imported.
        broken_flavors: Every TensorRT that is installed but fails to import, with the reason.
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
