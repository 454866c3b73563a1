"""JSON held to a JSON Schema, as far as our own formats need that: types, ranges, required keys and defaults.

Users need no package for it; the tests hold it to the judgement of the package jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

# JSON's types: Python's, and what to call them. A boolean is an int to Python, and no number to JSON.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "null": ((type(None),), "null"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "string": ((str,), "text"),
    "array": ((list,), "a list"),
    "object": ((dict,), "an object"),
}


def completed(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value as its schema has it: a copy in which keys that may be missing have their defaults.

    Keys that the schema does not name stay.

    Raises:
        ValueError: It does not fit. The message says which key, what came, and what was expected.
    """
    return _completed(value, schema, schema, "")


def _completed(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], key: str) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    complaint = _complaint(value, schema)
    if complaint:
        about = f" ({schema['description'].rstrip('.')})" if "description" in schema else ""
        raise ValueError(f"{key or 'it'} is {_shown(value)}, expected {complaint}{about}")
    if isinstance(value, dict):
        return _completed_object(value, schema, root, key)
    if isinstance(value, list) and "items" in schema:
        return [_completed(each, schema["items"], root, f"{key}[{index}]") for index, each in enumerate(value)]
    return value


def _completed_object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], key: str) -> Any:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", ()):
        if name not in value:
            raise ValueError(f"{_joined(key, name)} is missing, expected {known[name]['description'].rstrip('.')}")
    made = {name: _completed(each, known.get(name, rest), root, _joined(key, name)) for name, each in value.items()}
    return {name: deepcopy(each["default"]) for name, each in known.items() if "default" in each} | made


def _complaint(value: Any, schema: Mapping[str, Any]) -> str:
    """Return what was expected in place of a value; nothing if it is as the schema has it."""
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return " or ".join(_TYPES[kind][1] for kind in kinds)
    if "enum" in schema and value not in schema["enum"]:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if _is(value, "number"):
        return f"{schema['minimum']} or more" if value < schema.get("minimum", value) else ""
    if isinstance(value, str):
        return _complaint_of_text(value, schema)
    return _complaint_of_list(value, schema) if isinstance(value, list) else ""


def _complaint_of_text(value: str, schema: Mapping[str, Any]) -> str:
    if len(value) < schema.get("minLength", 0):
        return f"{schema['minLength']} letter(s) or more"
    return "" if re.search(schema.get("pattern", ""), value) else f"text of the form {schema['pattern']}"


def _complaint_of_list(value: list[Any], schema: Mapping[str, Any]) -> str:
    # The lists of our formats have so many entries, or any number.
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    return "" if least <= len(value) <= most else f"{least} entries"


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind][0]) and (kind == "boolean" or not isinstance(value, bool))


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
