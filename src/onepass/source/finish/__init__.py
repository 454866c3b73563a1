"""Finish an exported model: names, order, batch, layout."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.source.finish._batch import FIXED_BATCH as FIXED_BATCH
    from onepass.source.finish._batch import Batch as Batch
    from onepass.source.finish._finish import Finished as Finished
    from onepass.source.finish._finish import finish as finish
    from onepass.source.finish._options import ModelOptions as ModelOptions
    from onepass.source.finish._options import Target as Target

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.source.finish._batch": "FIXED_BATCH Batch",
        "onepass.source.finish._finish": "Finished finish",
        "onepass.source.finish._options": "ModelOptions Target",
    },
)
