"""JSON from files that anyone may have written."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parsed_json(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: It is none, or lists lie in lists too deep, or it has a number that JSON does not (``NaN``,
            ``Infinity``) or that is too long.
    """
    try:
        if not isinstance(text, str):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise ValueError("a number has too many digits" if "digits" in str(error) else str(error)) from None
    except RecursionError:
        raise ValueError("lists or objects lie in one another too deep") from None


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


_DECODER = json.JSONDecoder(parse_constant=_refused)
