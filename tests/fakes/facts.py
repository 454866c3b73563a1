"""The names that the real packages have, read off them by importing them; everything else in this folder obeys these.

``api/8.5.3.json`` and its neighbours hold TensorRT's: name in the module -> list of attributes (a class),
``["enum", members…]``, or the name of a type. ``api/cuda-bindings-*.json`` hold those of ``cuda.bindings.driver``:
functions with their parameters, enums with their values, classes with their attributes. ``dump_api.py`` writes both.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

API = Path(__file__).with_name("api")

TENSORRT: tuple[str, ...] = (
    "8.5.3", "10.0.1", "10.16.1", "11.4.0", "lean-11.4.0", "dispatch-11.4.0", "rtx-1.7.1",
)  # fmt: skip
"""Every TensorRT whose names are known, oldest first, flavours without a builder after the full ones."""

CUDA: tuple[str, ...] = ("12.9.4", "13.5.0")
"""Every cuda-bindings whose names are known."""


@cache
def tensorrt_facts(api: str) -> dict[str, Any]:
    """Return the names of one TensorRT, out of `TENSORRT`."""
    facts: dict[str, Any] = json.loads((API / f"{api}.json").read_text("utf-8"))
    return facts


@cache
def cuda_facts(version: str) -> dict[str, Any]:
    """Return the names of one ``cuda.bindings.driver``, out of `CUDA`."""
    facts: dict[str, Any] = json.loads((API / f"cuda-bindings-{version}.json").read_text("utf-8"))
    return facts


def module_name(api: str) -> str:
    """Return what the flavour is imported as: ``tensorrt``, ``tensorrt_lean`` and so on."""
    flavour = api.rpartition("-")[0]
    return f"tensorrt_{flavour}" if flavour else "tensorrt"


def version(api: str) -> str:
    """Return the version of the flavour: ``10.16.1``."""
    return api.rpartition("-")[2]
