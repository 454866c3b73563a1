"""Which TensorRT is here, and what it can do, asked of its Python module feature by feature.

TensorRT comes as four modules, in versions that lack each other's names: a feature is there if its name is, and no
version number is compared. Only `onepass.engine`, `onepass.builder` and what runs engines in `onepass.runtime` touch
TensorRT's modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from onepass._errors import InputError, MissingExtraError
from onepass._packages import builder_command, tensorrt_command_here
from onepass.engine.dtypes import DTYPE_BY_MEMBER

NAMES = ("tensorrt", "tensorrt_rtx", "tensorrt_lean", "tensorrt_dispatch")
"""TensorRT's modules in the order in which they are tried: full, for RTX cards, and the two that run engines only."""

PRECISIONS = ("fp16", "bf16", "int8", "fp8")
"""Reduced precisions that a build can ask for; in capitals, these are the builder flags of TensorRT that has any."""


@dataclass(frozen=True)
class Flavor:
    """One TensorRT that imports here.

    Attributes:
        name: The Python module, one of `NAMES`.
        version: Its version, ``"8.5.3.1"``.
        module: The module itself.
    """

    name: str
    version: str
    module: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def has(self, *names: str) -> bool:
        """Whether the module has an attribute, or one within another: ``has("IBuilderConfig", "progress_monitor")``."""
        thing = self.module
        for name in names:
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True

    def members(self, enum: str) -> tuple[str, ...]:
        """Names of the members of one of TensorRT's enumerations, nothing where it has no such enumeration."""
        return tuple(getattr(getattr(self.module, enum, None), "__members__", ()))

    def member(self, enum: str, name: str) -> Any:
        """Return a member of an enumeration; None where this flavour has no such member."""
        return getattr(getattr(self.module, enum, None), name, None)

    @property
    def can_build(self) -> bool:
        """Whether it can build engines from ONNX; the lean and dispatch runtimes only run them."""
        return self.has("Builder") and self.has("OnnxParser")

    @property
    def can_inspect(self) -> bool:
        """Whether it can list the layers of an engine."""
        return self.has("EngineInspector")

    @property
    def has_progress_monitor(self) -> bool:
        """Whether a build can be followed, and stopped, on its way."""
        return self.has("IProgressMonitor") and self.has("IBuilderConfig", "progress_monitor")

    @property
    def precision_flags(self) -> tuple[str, ...]:
        """Those of `PRECISIONS` that it takes as builder flags; none where networks are strongly typed."""
        return tuple(name for name in PRECISIONS if self.has("BuilderFlag", name.upper()))

    @property
    def is_strongly_typed(self) -> bool:
        """Whether each layer computes in the type that the network says, so that precision is a matter of the graph."""
        return self.can_build and not self.has("BuilderFlag", "FP16")

    @property
    def edge_dtypes(self) -> frozenset[np.dtype[Any]]:
        """The dtypes that an engine's inputs and outputs may have, as far as the flavour knows them at all."""
        return frozenset(dtype for name, dtype in DTYPE_BY_MEMBER.items() if self.has("DataType", name))

    def context_without_memory(self, engine: Any) -> Any:
        """Return a new context of TensorRT's own engine, which is given its memory later; None if it makes none."""
        if hasattr(engine, "create_execution_context_without_device_memory"):
            return engine.create_execution_context_without_device_memory()
        return engine.create_execution_context(self.member("ExecutionContextAllocationStrategy", "USER_MANAGED"))

    def report(self) -> dict[str, Any]:
        """Say which TensorRT this is and what it can do; plain JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "builds": self.can_build,
            "inspects": self.can_inspect,
            "strongly_typed": self.is_strongly_typed,
            "precision_flags": list(self.precision_flags),
            "dtypes": sorted(dtype.name for dtype in self.edge_dtypes),
            "progress": self.has_progress_monitor,
            "optimization_level": self.has("IBuilderConfig", "builder_optimization_level"),
            "hardware_compatible": [n for n in self.members("HardwareCompatibilityLevel") if n != "NONE"],
            "version_compatible": self.has("BuilderFlag", "VERSION_COMPATIBLE"),
            "strip": self.has("BuilderFlag", "STRIP_PLAN"),
            "tactic_sources": list(self.members("TacticSource")),
            "compute_capabilities": [n for n in self.members("ComputeCapability") if n.startswith("SM")],
        }


def find_flavor(name: str | None = None) -> Flavor:
    """Import TensorRT: the flavour asked for, or the first of `NAMES` that imports.

    Raises:
        MissingExtraError: None is installed, or what is installed does not import; the message says why, and what to
            install.
        InputError: `name` is none of `NAMES`.
    """
    if name is not None and name not in NAMES:
        raise InputError(f"there is no flavour of TensorRT called {name!r}; expected one of {', '.join(NAMES)}")
    found, problems = _look_for(NAMES if name is None else (name,))
    if found:
        return found[0]
    broken = "; ".join(f"{module} is installed but does not import ({why})" for module, why in problems.items())
    if name is None:
        raise MissingExtraError(
            f"TensorRT is needed for engines, and none of {', '.join(NAMES)} is usable here"
            + (f": {broken}" if broken else "")
            + f". Install it with: {builder_command()}"
        )
    raise MissingExtraError(
        f"{broken or f'the Python module {name!r} is not installed'}. Install it with: {tensorrt_command_here(name)}"
    )


def find_flavors() -> tuple[Flavor, ...]:
    """Every flavour of TensorRT that imports here, in the order of `NAMES`."""
    return tuple(_look_for(NAMES)[0])


def broken_flavors() -> dict[str, str]:
    """Every flavour that is installed but does not import, with the reason."""
    return _look_for(NAMES)[1]


def _look_for(names: tuple[str, ...]) -> tuple[list[Flavor], dict[str, str]]:
    found: list[Flavor] = []
    problems: dict[str, str] = {}
    for name in names:
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                problems[name] = str(error)
        except Exception as error:  # noqa: BLE001 - its libraries are loaded on import, and fail in many ways
            problems[name] = f"{type(error).__name__}: {error}"
        else:
            found.append(Flavor(name, str(getattr(module, "__version__", "of unknown version")), module))
    return found, problems
