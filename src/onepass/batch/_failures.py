"""Errors as JSON, for sending from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepass import _errors
from onepass._errors import OnepassError


def failure(error: Exception) -> dict[str, Any]:
    """Return an error of onepass or of the system as plain JSON values, for `error_of`."""
    told: dict[str, Any] = {"failed": type(error).__name__, "message": str(error)}
    if isinstance(error, OSError) and not isinstance(error, OnepassError) and error.errno is not None:
        told |= {"message": str(error.strerror), "errno": error.errno, "file": error.filename}
    return told


def error_of(told: Mapping[str, Any]) -> Exception:
    """Return another process's error with its original type."""
    kind = getattr(_errors, told["failed"], None)
    if isinstance(kind, type) and issubclass(kind, OnepassError):
        return kind(told["message"])
    return OSError(told.get("errno"), told["message"], told.get("file"))
