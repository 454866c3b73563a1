"""Run a folder or a table through a model: every output of every row, by name, as a Parquet data set.

Example::

    import onepass.batch

    manifest = onepass.batch.run("elg.onnx", "pictures/", "out", resume=True)
    table = pyarrow.parquet.read_table(manifest.files)

`run` does the whole job, on this machine or on a Ray cluster. `Infer` is a building block for your own pipelines.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.batch._infer import Infer as Infer
    from onepass.batch._run import Engine as Engine
    from onepass.batch._run import Progress as Progress
    from onepass.batch._run import run as run
    from onepass.batch.manifest import Manifest as Manifest
    from onepass.batch.manifest import PartRecord as PartRecord
    from onepass.batch.manifest import is_unfinished as is_unfinished
    from onepass.batch.manifest import read_manifest as read_manifest

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.batch._infer": "Infer",
        "onepass.batch._run": "Engine Progress run",
        "onepass.batch.manifest": "Manifest PartRecord is_unfinished read_manifest",
    },
)
