"""What this machine can do, what is wrong with it, and the commands that fix it.

`gather` collects facts. `diagnose` judges them and touches nothing, so any machine can be described as `Facts` and
judged on another one.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.doctor._diagnose import Finding as Finding
    from onepass.doctor._diagnose import Level as Level
    from onepass.doctor._diagnose import diagnose as diagnose
    from onepass.doctor._facts import Driver as Driver
    from onepass.doctor._facts import Facts as Facts
    from onepass.doctor._facts import FlavorFacts as FlavorFacts
    from onepass.doctor._facts import Gpu as Gpu
    from onepass.doctor._gather import gather as gather

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.doctor._diagnose": "Finding Level diagnose",
        "onepass.doctor._facts": "Driver Facts FlavorFacts Gpu",
        "onepass.doctor._gather": "gather",
    },
)
