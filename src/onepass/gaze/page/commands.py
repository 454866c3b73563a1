"""What a page asks for, read from its messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from onepass._errors import InputError
from onepass._json import parsed_json

T = TypeVar("T")

_LARGEST = 1e9  # of the numbers that a command has

MAX_COMMAND_BYTES = 1 << 20
"""How long a message other than a frame may be; the longest is a calibration."""


def command_of(text: str) -> dict[str, Any]:
    """Return a message as the object that it is.

    Raises:
        InputError: It is too long, or no JSON object.
    """
    if len(text) > MAX_COMMAND_BYTES:
        raise InputError(f"a message has {MAX_COMMAND_BYTES} characters at most, got {len(text)}")
    try:
        command = parsed_json(text.encode())
    except ValueError as error:
        raise InputError(f"a message must be JSON: {error}") from error
    if not isinstance(command, dict):
        raise InputError(f"a message must be a JSON object with its type, got {type(command).__name__}")
    return command


def choice_of(command: Mapping[str, Any], name: str, choices: Sequence[T]) -> T:
    """Return a value of a command that is one of some.

    Raises:
        InputError: It is none of them.
    """
    value = command.get(name)
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    raise InputError(f"{name} must be one of {', '.join(map(json.dumps, choices))}, got {value!r}")


def number_of(command: Mapping[str, Any], name: str, *, needed: bool = True) -> float | None:
    """Return a number of a command; None where it may be missing, and is.

    Raises:
        InputError: It is no number, or is missing.
    """
    value = command.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise InputError(f"{name} must be a number, got {str(value)[:40]}")
    return float(value)
