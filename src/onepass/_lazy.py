"""Packages that import their modules when a name is first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package that imports its modules on first use.

    The package's public modules are attributes, too, as if the package had imported them.

    Type checkers cannot follow this, so the package repeats its imports under ``TYPE_CHECKING``. A test checks that the
    two lists are equal.

    Args:
        package: The package's ``__name__``.
        names: Full module name to the public names of that module, separated by spaces.
    """
    places = {name: module for module, offered in names.items() for name in offered.split()}

    def __getattr__(name: str) -> Any:  # noqa: N807 - becomes the package's __getattr__
        if name in places:
            value = getattr(import_module(places[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        module = f"{package}.{name}"
        if name.isidentifier() and not name.startswith("_"):
            try:
                return import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise  # the module exists, but a module that it imports does not
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(sys.modules[package]), *places})

    return __getattr__, __dir__, sorted(places)
