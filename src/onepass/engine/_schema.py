"""Validate JSON against a JSON Schema, as far as our own formats need it: types, ranges, required keys and defaults.

So users need no package for it; the tests compare its verdicts with those of the jsonschema package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

# JSON type to Python types and the name in messages. In Python a boolean is an int; in JSON it is not a number.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "null": ((type(None),), "null"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "an integer"),
    "number": ((int, float), "a number"),
    "string": ((str,), "a string"),
    "array": ((list,), "a list"),
    "object": ((dict,), "an object"),
}


def completed(value: Any, schema: Mapping[str, Any]) -> Any:
    """Validate a value, and return a copy in which missing optional keys have their defaults.

    Keys that the schema does not name are kept.

    Raises:
        ValueError: The value does not fit. The message names the key, the value found and the value expected.
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
    """Return what the schema expects instead of a value; an empty string if the value fits."""
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return " or ".join(_TYPES[kind][1] for kind in kinds)
    if "enum" in schema and value not in schema["enum"]:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if _is(value, "number"):
        return f"at least {schema['minimum']}" if value < schema.get("minimum", value) else ""
    if isinstance(value, str):
        return _complaint_of_text(value, schema)
    return _complaint_of_list(value, schema) if isinstance(value, list) else ""


def _complaint_of_text(value: str, schema: Mapping[str, Any]) -> str:
    if len(value) < schema.get("minLength", 0):
        return f"at least {schema['minLength']} character(s)"
    return "" if re.search(schema.get("pattern", ""), value) else f"a string that matches {schema['pattern']}"


def _complaint_of_list(value: list[Any], schema: Mapping[str, Any]) -> str:
    # In our formats, a list has a fixed number of entries, or any number.
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    return "" if least <= len(value) <= most else f"{least} entries"


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind][0]) and (kind == "boolean" or not isinstance(value, bool))


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
