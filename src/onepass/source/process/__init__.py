"""Run a framework in a separate process and, if necessary, in its own environment."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.process._environment import environment_python as environment_python
    from onepass.source.process._job import ExportJob as ExportJob
    from onepass.source.process._parent import export_in_process as export_in_process

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.process._environment": "environment_python",
        "onepass.source.process._job": "ExportJob",
        "onepass.source.process._parent": "export_in_process",
    },
)
