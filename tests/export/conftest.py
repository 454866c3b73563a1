"""Triton's Python, for what runs inside Triton."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from tests.fakes import triton_python

_INSIDE = ("onepass.export.triton.casts", "onepass.export.triton.python_model")


@pytest.fixture(params=[False, True], ids=["Triton from 24.11", "Triton up to 24.10"])
def old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Triton misreads NumPy 2's arrays."""
    is_old: bool = request.param
    monkeypatch.setattr(triton_python.Tensor, "misreads", is_old)
    return is_old


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The modules that Triton imports: the one that casts, and the one that has onepass run a model."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton_python.make())
    for name in _INSIDE:
        monkeypatch.delitem(sys.modules, name, raising=False)
    casts, python_model = map(import_module, _INSIDE)
    yield casts, python_model
    for name in _INSIDE:
        sys.modules.pop(name, None)
