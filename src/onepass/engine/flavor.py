"""Find the installed TensorRT and its features.

TensorRT comes as four Python modules, and names differ between versions. So features are detected by name, never by
version number. Only `onepass.engine`, `onepass.builder` and the engine backend in `onepass.runtime` use these modules.
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
"""TensorRT's modules in the order in which they are tried: full, for RTX GPUs, and the two runtime-only packages."""

PRECISIONS = ("fp16", "bf16", "int8", "fp8")
"""Reduced precisions that a build can request; in upper case, they are the names of TensorRT's builder flags."""


@dataclass(frozen=True)
class Flavor:
    """An installed TensorRT that can be imported.

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
        """Whether the module has an attribute; names may be nested: ``has("IBuilderConfig", "progress_monitor")``."""
        thing = self.module
        for name in names:
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True

    def members(self, enum: str) -> tuple[str, ...]:
        """Return the member names of a TensorRT enumeration; nothing if the enumeration does not exist."""
        return tuple(getattr(getattr(self.module, enum, None), "__members__", ()))

    def member(self, enum: str, name: str) -> Any:
        """Return a member of an enumeration; None if this flavour does not have the member."""
        return getattr(getattr(self.module, enum, None), name, None)

    @property
    def can_build(self) -> bool:
        """Whether this flavour can build engines from ONNX; the lean and dispatch runtimes cannot."""
        return self.has("Builder") and self.has("OnnxParser")

    @property
    def can_inspect(self) -> bool:
        """Whether this flavour can list an engine's layers."""
        return self.has("EngineInspector")

    @property
    def has_progress_monitor(self) -> bool:
        """Whether a running build reports progress and can be stopped."""
        return self.has("IProgressMonitor") and self.has("IBuilderConfig", "progress_monitor")

    @property
    def precision_flags(self) -> tuple[str, ...]:
        """The `PRECISIONS` available as builder flags; none if networks are strongly typed."""
        return tuple(name for name in PRECISIONS if self.has("BuilderFlag", name.upper()))

    @property
    def is_strongly_typed(self) -> bool:
        """Whether each layer computes in the network's types, so that the graph determines the precision."""
        return self.can_build and not self.has("BuilderFlag", "FP16")

    @property
    def edge_dtypes(self) -> frozenset[np.dtype[Any]]:
        """The dtypes that this flavour supports for an engine's inputs and outputs."""
        return frozenset(dtype for name, dtype in DTYPE_BY_MEMBER.items() if self.has("DataType", name))

    def context_without_memory(self, engine: Any) -> Any:
        """Return a new execution context without device memory, which is set later; None if TensorRT fails."""
        if hasattr(engine, "create_execution_context_without_device_memory"):
            return engine.create_execution_context_without_device_memory()
        return engine.create_execution_context(self.member("ExecutionContextAllocationStrategy", "USER_MANAGED"))

    def report(self) -> dict[str, Any]:
        """Return this TensorRT's name, version and features as plain JSON values."""
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
    """Import TensorRT: the given flavour, or the first of `NAMES` that can be imported.

    Raises:
        MissingExtraError: No flavour is installed, or the import fails; the message gives the reason and the command
            that installs TensorRT.
        InputError: `name` is not in `NAMES`.
    """
    if name is not None and name not in NAMES:
        raise InputError(f"unknown TensorRT flavour {name!r}; expected one of {', '.join(NAMES)}")
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
    """Return all flavours of TensorRT that can be imported, in the order of `NAMES`."""
    return tuple(_look_for(NAMES)[0])


def broken_flavors() -> dict[str, str]:
    """Return all flavours that are installed but cannot be imported: name to reason."""
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
        except Exception as error:  # noqa: BLE001 - importing loads native libraries, which fail in many ways
            problems[name] = f"{type(error).__name__}: {error}"
        else:
            found.append(Flavor(name, str(getattr(module, "__version__", "of unknown version")), module))
    return found, problems
