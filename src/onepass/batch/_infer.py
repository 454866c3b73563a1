"""`Infer`: rows of an Arrow table through a model, for pipelines of one's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onepass._errors import InputError
from onepass._programs import usable_cores
from onepass.batch._columns import pyarrow
from onepass.batch._job import Job, function_name
from onepass.batch._rows import Item, Rows
from onepass.batch._tables import rows_of
from onepass.runtime import ModelSpec, load
from onepass.tensors import name_tuple


class Infer:
    """A model that takes Arrow tables: a table with a row's inputs in, one with its outputs out, row for row.

    The types of the columns follow from the model, so that all blocks have one schema; a row that fails has its error
    in the column ``error`` and nulls for outputs. It is the class that ``ray.data.Dataset.map_batches`` takes::

        data.map_batches(
            onepass.batch.Infer,
            fn_constructor_args=("elg.onnx",), fn_constructor_kwargs={"keep": ["path"]},
            batch_format="pyarrow", batch_size=256, compute=ray.data.ActorPoolStrategy(size=2),
            ray_remote_args_fn=lambda: {"max_restarts": 2, "max_task_retries": 2},
        )

    Leave Ray one CPU, and tries that end: without, it stands still in silence, or repeats what kills its workers.

    Attributes:
        schema: Arrow schema of what comes out, without the columns that are kept.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelSpec,
        *,
        outputs: str | Sequence[str] | None = None,
        batch: int = 32,
        preprocess: str | Callable[..., Any] | None = None,
        columns: Mapping[str, str] | None = None,
        keep: Sequence[str] = (),
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Open the model.

        Args:
            model: The model, or a `ModelSpec` that says how to open it.
            outputs: Names of the outputs to keep; all by default.
            batch: The most rows of one pass.
            preprocess: As of `onepass.batch.run`.
            columns: The column that an input takes, where that has another name.
            keep: Columns of the table that come out too, such as what names a row.
            value_range: What black and white of pictures become in a floating-point input.

        Raises:
            OnepassError: The model cannot be opened, or an argument is wrong.
            MissingExtraError: PyArrow is not installed.
        """
        spec = model if isinstance(model, ModelSpec) else ModelSpec(model)
        wanted = None if outputs is None else name_tuple(outputs)
        job = Job(spec, wanted, batch, function_name(preprocess), dict(columns or {}), None, value_range)
        self._rows = Rows(load(spec), job)
        self._keep = name_tuple(keep)
        self._threads = usable_cores()
        fields = [field for field in self._rows.schema if field.name != self._rows.key]
        self.schema = pyarrow().schema(fields)
        twice = [name for name in self._keep if name in self.schema.names]
        if twice:
            raise InputError(f"keep={twice!r}: an output, or the column of errors, has that name; rename the column")

    def __call__(self, table: Any) -> Any:
        """Return what comes of the rows of a ``pyarrow.Table``, in their order: columns kept, error, outputs.

        Raises:
            InputError: It is no Arrow table, or a column to keep is not there.
        """
        pa = pyarrow()
        if not isinstance(table, pa.Table):
            raise InputError(
                f"Infer takes a pyarrow.Table, got {type(table).__name__}; Ray takes batch_format='pyarrow'"
            )
        missing = [name for name in self._keep if name not in table.column_names]
        if missing:
            raise InputError(f"there is no column {missing[0]!r} to keep; there are {', '.join(table.column_names)}")
        items = (Item("", row) for batch in table.to_batches() for row in rows_of(batch))
        made = [each for some in self._rows.done(items, threads=self._threads, passes=self._threads) for each in some]
        found = self._rows.table(made).drop_columns([self._rows.key])
        for name in reversed(self._keep):
            found = found.add_column(0, table.schema.field(name), table[name])
        return found
