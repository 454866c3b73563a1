"""Parse the output of TensorRT's inspector, which may be invalid JSON: not every version escapes names."""

from __future__ import annotations

import json
import re
from typing import Any

_KEY = r'"{}"\s*:\s*"(.*?)"\s*(?=[,}}\]\n]|$)'
_NAME, _KIND, _FORMAT = (re.compile(_KEY.format(key)) for key in ("Name", "LayerType", "Format/Datatype"))
_END = re.compile(r"\]\s*,\s*\"(?!Name|Location|Dimensions|Format)|\]\s*}?\s*$")


def layer_in(text: str) -> Any:
    """Return the inspector's description of one layer, as parsed JSON: a mapping, or only a name."""
    try:
        return json.loads(text, strict=False)  # names may contain line breaks
    except ValueError:
        pass
    head, _, rest = text.partition('"Inputs"')
    name = _NAME.search(head)
    if name is None:
        return text.strip().strip('"')
    kind = _KIND.search(head) or _KIND.search(rest)
    inputs, _, outputs = rest.partition('"Outputs"')
    return {
        "Name": name[1],
        "LayerType": kind[1] if kind else "",
        "Inputs": _edges(inputs),
        "Outputs": _edges(_END.split(outputs, maxsplit=1)[0]),
    }


def _edges(text: str) -> list[dict[str, str]]:
    names, formats = _NAME.findall(text), _FORMAT.findall(text)
    return [{"Name": name, "Format/Datatype": each} for name, each in zip(names, formats, strict=False)]
