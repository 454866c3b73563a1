"""An error on its way from one process to another, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepass import _errors
from onepass._errors import OnepassError


def failure(error: Exception) -> dict[str, Any]:
    """Return an error of onepass's or of the system as plain JSON values; `error_of` makes it one again."""
    told: dict[str, Any] = {"failed": type(error).__name__, "message": str(error)}
    if isinstance(error, OSError) and not isinstance(error, OnepassError) and error.errno is not None:
        told |= {"message": str(error.strerror), "errno": error.errno, "file": error.filename}
    return told


def error_of(told: Mapping[str, Any]) -> Exception:
    """Return what another process failed with, as its own kind of error."""
    kind = getattr(_errors, told["failed"], None)
    if isinstance(kind, type) and issubclass(kind, OnepassError):
        return kind(told["message"])
    return OSError(told.get("errno"), told["message"], told.get("file"))
