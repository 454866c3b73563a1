"""Plugins: operators that a library adds to TensorRT, loaded for a build and for a run alike.

A library registers what it has when it is opened, or exports functions by which TensorRT asks for it; both kinds are
taken. It is code, so none is opened unless the caller names it: a sidecar says which an engine needs, no more.
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

# What a library exports that lets TensorRT ask for its plugins.
_ASKED_BY = ("getCreators", "getPluginCreators")
# By module and file: what is registered stays so as long as the process lives.
_OPENED: dict[tuple[int, Path], Any] = {}


class Plugin(NamedTuple):
    """An operator that an engine takes from a plugin: the name, version and namespace of what makes it."""

    name: str
    version: str = "1"
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}" + (f", namespace {self.namespace}" if self.namespace else "")

    def to_json(self) -> dict[str, str]:
        """Return it as plain JSON values."""
        return self._asdict()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plugin:
        """Read what `to_json` wrote."""
        return cls(*(str(data[name]) for name in cls._fields))


def load_plugins(flavor: Flavor, libraries: Any = ()) -> None:
    """Register TensorRT's own plugins, as far as it has any, and those of libraries.

    Raises:
        InputError: A library is not there, does not open, or has no plugin that this TensorRT takes.
    """
    if flavor.has("init_libnvinfer_plugins"):
        flavor.module.init_libnvinfer_plugins(get_logger(flavor), "")
    for library in path_tuple(libraries, what="plugins"):
        file = Path(library).absolute()
        key = id(flavor.module), file.resolve()
        if key not in _OPENED:
            _OPENED[key] = _opened(flavor, file)


def registered(flavor: Flavor) -> frozenset[Plugin]:
    """Return every plugin that this TensorRT can make now."""
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
        flavor: The TensorRT that is to run it.
        needed: The plugins that are in the engine.
        name: What to call the engine.
        built_with: The libraries that were named when it was built.

    Raises:
        EngineError: A plugin is missing; the message says what to give.
    """
    missing = sorted({*needed} - registered(flavor)) if needed else []
    if missing:
        raise EngineError(missing_in_engine(flavor, name, "; ".join(map(str, missing)), built_with))


def missing_in_engine(flavor: Flavor, name: str, missing: str, built_with: Sequence[str] = ()) -> str:
    """Return what to say of an engine whose plugins are not here."""
    library = Path(built_with[0]).name if built_with else "libmyplugin.so"
    given = f", which came from {', '.join(built_with)} when it was built" if built_with else ""
    return (
        f"{name} needs the plugin {missing}{given}; {flavor} has none registered. Name the library that has it: "
        f"plugins=[{library!r}]"
    )


def _opened(flavor: Flavor, file: Path) -> Any:
    if not file.is_file():
        raise InputError(f"plugins: there is no library at {file}")
    before = registered(flavor)
    try:
        library = ctypes.CDLL(str(file))
    except OSError as error:
        raise InputError(
            f"plugins: {file} does not open as a library: {error}. It has to be built for this machine, and its "
            f"libraries, {flavor}'s among them, have to be found"
        ) from error
    registry = flavor.module.get_plugin_registry()
    if hasattr(registry, "load_library") and _is_asked(library) and registered(flavor) == before:
        book = get_logger(flavor).book
        mark = book.mark()
        if registry.load_library(str(file)) is None:
            said = book.text(mark) or "(nothing)"
            raise InputError(f"plugins: {flavor} takes no plugin from {file}. It says:\n{said}")
    return library


def _is_asked(library: ctypes.CDLL) -> bool:
    return any(hasattr(library, function) for function in _ASKED_BY)
