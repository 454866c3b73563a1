"""Plugins: operators that a library adds to TensorRT, loaded for builds and for runs.

A library registers its plugins when it is opened, or exports functions through which TensorRT finds them; both kinds
are supported. Libraries are code, so onepass opens only those that the caller names. A sidecar only lists the plugins
that its engine needs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from onepass._errors import EngineError, InputError
from onepass.artifacts import path_tuple
from onepass.engine.flavor import Flavor
from onepass.engine.log import get_logger

# Functions that a library exports if TensorRT itself looks up the plugins.
_ASKED_BY = ("getCreators", "getPluginCreators")
# By module and file; plugins stay registered until the process ends.
_OPENED: dict[tuple[int, Path], Any] = {}


class Plugin(NamedTuple):
    """An operator that an engine takes from a plugin: name, version and namespace of its creator."""

    name: str
    version: str = "1"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}" + (f", namespace {self.namespace}" if self.namespace else "")

    def to_json(self) -> dict[str, str]:
        """Return the plugin as plain JSON values."""
        return self._asdict()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plugin:
        """Read what `to_json` wrote."""
        return cls(*(str(data[name]) for name in cls._fields))


def load_plugins(flavor: Flavor, libraries: Any = ()) -> None:
    """Register TensorRT's own plugins, if it has any, and those of the given libraries.

    Raises:
        InputError: A library does not exist, cannot be opened, or contains no plugin that this TensorRT supports.
    """
    if flavor.has("init_libnvinfer_plugins"):
        flavor.module.init_libnvinfer_plugins(get_logger(flavor), "")
    for library in path_tuple(libraries, what="plugins"):
        file = Path(library).absolute()
        key = id(flavor.module), file.resolve()
        if key not in _OPENED:
            _OPENED[key] = _opened(flavor, file)


def registered(flavor: Flavor) -> frozenset[Plugin]:
    """Return all registered plugins."""
    registry = flavor.module.get_plugin_registry()
    if hasattr(registry, "all_creators_recursive"):
        creators = registry.all_creators_recursive
    elif hasattr(registry, "all_creators"):
        creators = registry.all_creators
    else:
        creators = registry.plugin_creator_list
    return frozenset(Plugin(each.name, each.plugin_version, each.plugin_namespace) for each in creators)


def check_plugins(flavor: Flavor, needed: Sequence[Plugin], *, name: str, built_with: Sequence[str] = ()) -> None:
    """Raise if an engine needs a plugin that is not registered.

    Args:
        flavor: The TensorRT that will run the engine.
        needed: The plugins in the engine.
        name: Name of the engine in messages.
        built_with: The plugin libraries of the build.

    Raises:
        EngineError: A plugin is missing; the message says how to load it.
    """
    missing = sorted({*needed} - registered(flavor)) if needed else []
    if missing:
        raise EngineError(missing_in_engine(flavor, name, "; ".join(map(str, missing)), built_with))


def missing_in_engine(flavor: Flavor, name: str, missing: str, built_with: Sequence[str] = ()) -> str:
    """Return the message for an engine with missing plugins."""
    library = Path(built_with[0]).name if built_with else "libmyplugin.so"
    given = f", which came from {', '.join(built_with)} when the engine was built" if built_with else ""
    return (
        f"{name} needs the plugin {missing}{given}; it is not registered in {flavor}. Load the library that contains "
        f"it: plugins=[{library!r}]"
    )


def _opened(flavor: Flavor, file: Path) -> Any:
    if not file.is_file():
        raise InputError(f"plugins: library not found: {file}")
    before = registered(flavor)
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise InputError(
            f"plugins: cannot load the library {file}: {error}. It must be built for this machine, and its "
            f"dependencies, including those of {flavor}, must be found"
        ) from error
    registry = flavor.module.get_plugin_registry()
    if hasattr(registry, "load_library") and _is_asked(library) and registered(flavor) == before:
        book = get_logger(flavor).book
        mark = book.mark()
        if registry.load_library(str(file)) is None:
            said = book.text(mark) or "(nothing)"
            raise InputError(f"plugins: {flavor} loads no plugin from {file}. TensorRT's log:\n{said}")
    return library


def _is_asked(library: ctypes.CDLL) -> bool:
    return any(hasattr(library, function) for function in _ASKED_BY)
