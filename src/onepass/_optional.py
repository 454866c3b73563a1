"""Import a library that only an extra installs, or say which extra that is."""

from importlib import import_module
from typing import Any

from onepass._errors import MissingExtraError


def optional(module: str, *, extra: str, purpose: str) -> Any:
    """Import and return a module that the extra ``onepass[extra]`` installs.

    Args:
        module: Dotted name of the module, for example ``"cv2"``.
        extra: Name of the extra that brings it.
        purpose: What it is needed for, as the subject of a sentence: ``"Reading pictures"``.

    Raises:
        MissingExtraError: The module is not installed, or is installed but does not import.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the Python module {module!r}, which does not import ({error}). "
            f"Install it with: pip install 'onepass[{extra}]'"
        ) from error
