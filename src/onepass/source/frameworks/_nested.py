"""Names for tensors in nested dicts, lists, tuples, dataclasses and caches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def named_leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a nested value with their names: ``boxes``, ``masks.0``.

    None is omitted. A single leaf is named ``output``; names in a bare list or tuple start with it: ``output.0``.

    Caches of the transformers library use layer numbers: ``cache.0.key``, ``cache.0.value``.

    Args:
        value: Nested mappings, named tuples, dataclasses, lists, tuples and caches; anything else is a leaf.
        name: Name of the value itself.
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
    """Return the items one level down, by name; None for a leaf."""
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
    """Return the content of a transformers cache, which is not a Python container: layers, or caches by purpose."""
    attributes = getattr(value, "__dict__", {})
    parts = {name: each for name, each in attributes.items() if name.endswith("_attention_cache")}
    if parts:
        return [(name.removesuffix("_cache"), each) for name, each in parts.items()]
    layers = attributes.get("layers")
    if not isinstance(layers, list) or not all(hasattr(each, "keys") and hasattr(each, "values") for each in layers):
        return None
    return [(str(index), {"key": each.keys, "value": each.values}) for index, each in enumerate(layers)]
