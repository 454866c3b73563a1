"""Write protobuf's text format, as far as Triton's ``config.pbtxt`` needs it.

Only tritonclient has Triton's message types, and it pins protobuf below the version that everything else needs. The
configuration consists of names, numbers, strings and messages only. Tests read it with tritonclient and Triton.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""Maps field names to values: a bool, number, `Word`, string or message, or a list of these for a repeated field."""

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Word(str):
    """The name of an enum value, written without quotes."""

    __slots__ = ()


def entries(mapping: Mapping[str, Any]) -> list[Message]:
    """Return the value of a ``map`` field, which the text format writes as a list of messages."""
    return [{"key": key, "value": value} for key, value in mapping.items()]


def text_of(message: Message) -> str:
    """Write a message, one field per line, in the mapping's order."""
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, value in message.items():
        if isinstance(value, Mapping):
            yield from _nested(name, value)
        elif not isinstance(value, Sequence) or isinstance(value, str):
            yield f"{name}: {_scalar(value)}"
        elif value and isinstance(value[0], Mapping):
            for each in value:
                yield from _nested(name, each)
        else:
            yield f"{name}: [{', '.join(map(_scalar, value))}]"


def _nested(name: str, message: Message) -> Iterator[str]:
    inner = [f"  {line}" for line in _lines(message)]
    yield from (f"{name} {{", *inner, "}") if inner else (f"{name} {{}}",)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or isinstance(value, Word):
        return str(value)
    return '"' + "".join(_ESCAPED.get(char, char if char >= " " else f"\\{ord(char):03o}") for char in value) + '"'
