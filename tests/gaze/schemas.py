"""JSON Schema, as much of it as onepass's own schemas use; every other keyword is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "minItems": lambda value, limit: len(value) >= limit,
    "maxItems": lambda value, limit: len(value) <= limit,
    "enum": lambda value, allowed: value in allowed,
    "required": lambda value, names: set(names) <= set(value),
}
_WORDS = {"$schema", "$defs", "title", "description", "type", "additionalProperties"}


def faults(value: Any, schema: Schema, root: Schema, place: str = "") -> Iterator[str]:
    """Yield what of a value does not fit a schema, as places in it; its references are looked up in `root`."""
    if "type" in schema and not _TYPES[schema["type"]](value):
        yield f"{place}: {value!r} is no {schema['type']}"
        return
    for word, said in schema.items():
        if word in _PARTS:
            yield from _PARTS[word](value, said, root, place)
        elif word in _LIMITS:
            if not _LIMITS[word](value, said):
                yield f"{place}: {word} {said}"
        elif word not in _WORDS:
            raise NotImplementedError(word)


def _reference(value: Any, name: str, root: Schema, place: str) -> Iterator[str]:
    yield from faults(value, root["$defs"][name.removeprefix("#/$defs/")], root, place)


def _any_of(value: Any, choices: list[Schema], root: Schema, place: str) -> Iterator[str]:
    if all(any(faults(value, choice, root)) for choice in choices):
        yield f"{place}: {value!r} is none of {choices}"


def _items(values: list[Any], schema: Schema, root: Schema, place: str) -> Iterator[str]:
    for index, value in enumerate(values):
        yield from faults(value, schema, root, f"{place}[{index}]")


def _properties(values: Mapping[str, Any], schemas: Schema, root: Schema, place: str) -> Iterator[str]:
    """Check an object; onepass's schemas allow no others than the named properties."""
    for name, value in values.items():
        if name in schemas:
            yield from faults(value, schemas[name], root, f"{place}.{name}")
        else:
            yield f"{place}.{name}: unknown"


_PARTS: Mapping[str, Callable[..., Iterator[str]]] = {
    "$ref": _reference,
    "anyOf": _any_of,
    "items": _items,
    "properties": _properties,
}
