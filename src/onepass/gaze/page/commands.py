"""Parse the page's commands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from onepass._errors import InputError
from onepass._json import parsed_json

T = TypeVar("T")

_LARGEST = 1e9  # maximum magnitude of numbers in commands

MAX_COMMAND_BYTES = 1 << 20
"""Maximum size of messages other than frames; the longest is a calibration."""


def command_of(text: str) -> dict[str, Any]:
    """Parse a message as a JSON object.

    Raises:
        InputError: The message is too long, or not a JSON object.
    """
    if len(text) > MAX_COMMAND_BYTES:
        raise InputError(f"a message must have at most {MAX_COMMAND_BYTES} characters, got {len(text)}")
    try:
        command = parsed_json(text.encode())
    except ValueError as error:
        raise InputError(f"a message must be JSON: {error}") from error
    if not isinstance(command, dict):
        raise InputError(f"a message must be a JSON object with a type, got {type(command).__name__}")
    return command


def choice_of(command: Mapping[str, Any], name: str, choices: Sequence[T]) -> T:
    """Return a command's value that must be one of some choices.

    Raises:
        InputError: The value is not one of them.
    """
    value = command.get(name)
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    raise InputError(f"{name} must be one of {', '.join(map(json.dumps, choices))}, got {value!r}")


def number_of(command: Mapping[str, Any], name: str, *, needed: bool = True) -> float | None:
    """Return a command's number; None if it is missing and optional.

    Raises:
        InputError: The value is not a number, or is missing.
    """
    value = command.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise InputError(f"{name} must be a number, got {str(value)[:40]}")
    return float(value)
