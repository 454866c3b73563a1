"""Run models: `load` opens a file on the backend for its format; a `Session` returns every output by name."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.runtime._life import stop_runs as stop_runs
    from onepass.runtime._load import load as load
    from onepass.runtime.backend import Backend as Backend
    from onepass.runtime.backend import BackendBase as BackendBase
    from onepass.runtime.session import Session as Session
    from onepass.runtime.spec import ModelSpec as ModelSpec

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.runtime._life": "stop_runs",
        "onepass.runtime._load": "load",
        "onepass.runtime.backend": "Backend BackendBase",
        "onepass.runtime.session": "Session",
        "onepass.runtime.spec": "ModelSpec",
    },
)
