"""GPUs that each TensorRT supports, and drivers that each CUDA needs, from NVIDIA's notes and support matrices.

- TensorRT-RTX 1.0 to 1.5, support matrices: 7.5, 8.6, 8.9, 12.0, and 12.1 from 1.5 on. Not 8.0, 9.0 or 10.0.
- TensorRT 8.5 notes: the last for Kepler (3.x); 9.0 is without Maxwell (5.x).
- TensorRT 10.1 support matrix: 7.0 or higher. 10.5 notes: Volta (7.0) is removed. 10.8 notes: Blackwell is added.
- CUDA compatibility guide, minor version compatibility: CUDA 11 needs driver 450, CUDA 12 driver 525, CUDA 13
  driver 580.
"""

from __future__ import annotations

from collections.abc import Iterable

from onepass.doctor._facts import FlavorFacts, Gpu

Capability = tuple[int, int]

_RTX: tuple[Capability, ...] = ((7, 5), (8, 6), (8, 9), (12, 0), (12, 1))
# From this version on, at least this compute capability.
_LEAST: tuple[tuple[tuple[int, int], Capability], ...] = (
    ((10, 5), (7, 5)), ((10, 0), (7, 0)), ((9, 0), (6, 0)), ((8, 6), (5, 0)),
)  # fmt: skip
_BLACKWELL_VERSION, _BLACKWELL = (10, 8), (10, 0)
_DRIVERS = {11: 450, 12: 525, 13: 580}


def refusal(flavor: FlavorFacts, gpu: Gpu) -> str:
    """Return why a TensorRT cannot run on a GPU; empty if it can, or if this is unknown."""
    capability = gpu.compute_capability
    if capability is None or flavor.number == (0, 0):
        return ""
    if flavor.name == "tensorrt_rtx":
        named = {_capability(each) for each in flavor.compute_capabilities} - {None}
        known = named or set(_RTX)
        if capability in known:
            return ""
        return f"it supports only compute capability {_listed(known)}; this GPU has {gpu.capability_text}"
    least = next((least for since, least in _LEAST if flavor.number >= since), None)
    if least is not None and capability < least:
        return f"it requires compute capability {_text(least)} or higher; this GPU has {gpu.capability_text}"
    if flavor.number < _BLACKWELL_VERSION and capability >= _BLACKWELL:
        return f"this GPU (compute capability {gpu.capability_text}) requires TensorRT 10.8 or later"
    return ""


def least_driver(cuda: int) -> int | None:
    """Return the oldest driver, by its major version, that runs programs of a CUDA major version."""
    return _DRIVERS.get(cuda)


def newest_cuda(driver: str | None) -> int | None:
    """Return the newest CUDA major version that a driver runs, by the driver's own version."""
    major = (driver or "").split(".")[0]
    fitting = [cuda for cuda, least in _DRIVERS.items() if major.isdigit() and int(major) >= least]
    return max(fitting, default=None)


def _capability(name: str) -> Capability | None:
    digits = name.removeprefix("SM")
    return (int(digits[:-1]), int(digits[-1])) if digits.isdigit() and len(digits) > 1 else None


def _text(capability: Capability) -> str:
    return f"{capability[0]}.{capability[1]}"


def _listed(capabilities: Iterable[Capability | None]) -> str:
    return ", ".join(_text(each) for each in sorted(each for each in capabilities if each is not None))
