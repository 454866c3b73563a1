"""JSON from untrusted files."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parsed_json(text: str | bytes) -> Any:
    """Parse strict JSON.

    Raises:
        ValueError: The text is not JSON, is nested too deeply, or contains a number with too many digits or a number
            that JSON does not allow (``NaN``, ``Infinity``).
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
        raise ValueError("lists or objects are nested too deeply") from None


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refused)
