"""Plugins of the fake TensorRT: a registry, creators, and libraries that bring them when they are opened.

A plugin computes what an ``OpRun`` of onnx's reference says. Two kinds of libraries are imitated: those that register
what they have when the system opens them, and those that TensorRT asks (`load_library`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import onnx
from onnx.reference.op_run import OpRun

from tests.fakes._classes import make

Key = tuple[str, str, str]
"""Name, version and namespace of a plugin."""

COMPUTES: dict[str, type[OpRun]] = {}
"""What each plugin that was ever registered computes, by the name of its operator."""


class Creator:
    """What makes a plugin, as far as anyone asks it."""

    _trt: Any

    def _start(self, key: Key) -> None:
        self._key = key

    @property
    def name(self) -> str:
        return self._key[0]

    @property
    def plugin_version(self) -> str:
        return self._key[1]

    @property
    def plugin_namespace(self) -> str:
        return self._key[2]


class Registry:
    """All creators of a process."""

    _trt: Any
    error_recorder = None

    def _start(self) -> None:
        self._creators: list[Any] = []
        self._libraries: dict[str, Sequence[Key]] = {}

    @property
    def plugin_creator_list(self) -> list[Any]:
        return list(self._creators)

    @property
    def all_creators(self) -> list[Any]:
        return list(self._creators)

    @property
    def all_creators_recursive(self) -> list[Any]:
        return list(self._creators)

    def load_library(self, plugin_path: str) -> Any:
        if not self._libraries.get(plugin_path):
            return None
        self._register(self._libraries[plugin_path])
        return object()

    def _register(self, keys: Sequence[Key]) -> None:
        self._creators += [make(self._trt.IPluginCreator, key) for key in keys]

    def _has(self, node: onnx.NodeProto) -> bool:
        said = {each.name: each.s.decode() for each in node.attribute}
        version, namespace = said.get("plugin_version", "1"), said.get("plugin_namespace", "")
        places = {namespace} if self._trt.api == "8.5.3" else {namespace, node.domain}
        return any((node.op_type, version, place) in [each._key for each in self._creators] for place in places)


def needs_plugin(node: onnx.NodeProto) -> bool:
    """Whether a node is of an operator that ONNX does not have."""
    return not onnx.defs.has(node.op_type)


def missing_plugin(trt: Any, proto: onnx.ModelProto) -> str | None:
    """Return the line of the log that says of an engine which plugin is not registered, if one is not."""
    registry = trt.get_plugin_registry()
    for node in proto.graph.node:
        if needs_plugin(node) and not registry._has(node):
            said = {each.name: each.s.decode() for each in node.attribute}
            version = said.get("plugin_version", "1")
            if trt.api.startswith("8"):
                return f"3: getPluginCreator could not find plugin: {node.op_type} version: {version}"
            return (
                "IPluginRegistry::getCreator: Error Code 4: API Usage Error (Cannot find plugin: "
                f"{node.op_type}, version: {version}, namespace:.)"
            )
    return None


@contextmanager
def library(
    trt: Any, file: Path, *, computes: Sequence[type[OpRun]], version: str = "1", is_asked: bool = False
) -> Iterator[None]:
    """Put a library into place that, once opened, brings plugins to a fake TensorRT.

    Args:
        trt: The fake TensorRT.
        file: Where the library is; a file is written there.
        computes: What the plugins compute; each is called as its class, in lower case being as good as any other.
        version: Their version.
        is_asked: Whether TensorRT has to ask it for them; otherwise it registers them when it is opened.
    """
    file.write_bytes(b"a library of the fake TensorRT's")
    registry = trt.get_plugin_registry()
    keys = [(one.__name__, version, "") for one in computes]
    COMPUTES.update({one.__name__: one for one in computes})
    opened = ctypes.CDLL

    def open_library(name: Any, *arguments: Any, **options: Any) -> Any:
        if name != str(file):
            return opened(name, *arguments, **options)
        if is_asked:
            registry._libraries[str(file)] = keys
            return mock.Mock(spec=["getCreators"])
        registry._register(keys)
        return mock.Mock(spec=[])

    with mock.patch.object(ctypes, "CDLL", open_library):
        yield


PLUGINS: dict[str, type] = {"IPluginCreator": Creator, "IPluginRegistry": Registry}
