"""Tensors in dicts, lists, tuples, dataclasses and caches, and the names that they have from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def named_leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a nested value holds, each leaf with a name: ``boxes``, ``masks.0``.

    None is left out. A leaf with nothing around it is called ``output``; so begin the names in a bare list or tuple:
    ``output.0``.

    The cache of a network of transformers has the layers' numbers: ``cache.0.key``, ``cache.0.value``.

    Args:
        value: Mappings, named tuples, dataclasses, lists, tuples and caches, in each other; anything else is a leaf.
        name: What the value itself is called.
    """
    items = _items(value)
    if value is None:
        return
    if items is None:
        yield name or "output", value
        return
    if not name and isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        name = "output"
    for key, each in items:
        yield from named_leaves(each, f"{name}.{key}" if name else key)


def _items(value: Any) -> list[tuple[str, Any]] | None:
    """Return what is one level down, by name; None for a leaf."""
    if isinstance(value, Mapping):
        return [(str(key), each) for key, each in value.items()]
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(str(key), getattr(value, key)) for key in value._fields]
    if isinstance(value, (list, tuple)):
        return [(str(index), each) for index, each in enumerate(value)]
    return _cache_items(value)


def _cache_items(value: Any) -> list[tuple[str, Any]] | None:
    """Return what is in a cache of transformers, which is no container of Python's: layers, or caches by purpose."""
    attributes = getattr(value, "__dict__", {})
    parts = {name: each for name, each in attributes.items() if name.endswith("_attention_cache")}
    if parts:
        return [(name.removesuffix("_cache"), each) for name, each in parts.items()]
    layers = attributes.get("layers")
    if not isinstance(layers, list) or not all(hasattr(each, "keys") and hasattr(each, "values") for each in layers):
        return None
    return [(str(index), {"key": each.keys, "value": each.values}) for index, each in enumerate(layers)]
