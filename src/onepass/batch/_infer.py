"""`Infer`: run the rows of an Arrow table through a model, for your own pipelines."""

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
    """A model for Arrow tables: it maps a table of inputs to a table of outputs, row by row.

    The column types depend on the model only, so all blocks have one schema. A failed row has its error in the column
    ``error``, and null outputs. Pass this class to ``ray.data.Dataset.map_batches``::

        data.map_batches(
            onepass.batch.Infer,
            fn_constructor_args=("elg.onnx",), fn_constructor_kwargs={"keep": ["path"]},
            batch_format="pyarrow", batch_size=256, compute=ray.data.ActorPoolStrategy(size=2),
            ray_remote_args_fn=lambda: {"max_restarts": 2, "max_task_retries": 2},
        )

    Leave one CPU for Ray, and limit its retries. Without a free CPU, Ray hangs silently; without a limit, it repeats
    forever a row that kills its workers.

    Attributes:
        schema: Arrow schema of the result, without the kept columns.
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
            model: The model, or a `ModelSpec` with options for opening it.
            outputs: Names of the outputs to keep; by default all.
            batch: Maximum rows per pass.
            preprocess: See `onepass.batch.run`.
            columns: Maps inputs to table columns whose names differ from the input's.
            keep: Columns of the table to copy to the result, such as the rows' keys.
            value_range: The values of black and white when pictures go to a floating-point input.

        Raises:
            OnepassError: The model cannot be opened, or an argument is invalid.
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
            raise InputError(f"keep={twice!r}: an output or the error column has the same name; rename the column")

    def __call__(self, table: Any) -> Any:
        """Run the rows of a ``pyarrow.Table``; return kept columns, error and outputs, in row order.

        Raises:
            InputError: The argument is not an Arrow table, or a column to keep is missing.
        """
        pa = pyarrow()
        if not isinstance(table, pa.Table):
            raise InputError(
                f"Infer needs a pyarrow.Table, got {type(table).__name__}; with Ray, set batch_format='pyarrow'"
            )
        missing = [name for name in self._keep if name not in table.column_names]
        if missing:
            raise InputError(f"no column {missing[0]!r} to keep; the table has {', '.join(table.column_names)}")
        items = (Item("", row) for batch in table.to_batches() for row in rows_of(batch))
        made = [each for some in self._rows.done(items, threads=self._threads, passes=self._threads) for each in some]
        found = self._rows.table(made).drop_columns([self._rows.key])
        for name in reversed(self._keep):
            found = found.add_column(0, table.schema.field(name), table[name])
        return found
