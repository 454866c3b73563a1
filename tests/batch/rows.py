"""Inputs and models of the tests of batches, and what must come of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import onepass
from onepass.batch import Manifest
from tests.zoo import BY_NAME

ROWS = 100


def three_heads(folder: Path) -> Path:
    """Write a model: ``x`` [N, 4] to ``zebra`` [N, 4], ``ant`` [N] and ``monkey`` [N, 4]."""
    path = folder / "heads.onnx"
    BY_NAME["three heads"].graph.save(path)
    return path


def numbers(rows: int = ROWS, seed: int = 0) -> Any:
    """Return float32 [rows, 4]."""
    return np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32)


def tensor_column(array: Any) -> Any:
    """Return an array [N, …] as Arrow's fixed-shape tensors."""
    storage = pa.FixedSizeListArray.from_arrays(array.ravel(), array[0].size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(storage.type.value_type, array.shape[1:]), storage)


def arrays(table: Any, name: str) -> list[Any]:
    """Return the rows of a column as nested lists; None for a null."""
    column = table[name].combine_chunks()
    if isinstance(column.type, pa.FixedShapeTensorType):
        shape = tuple(column.type.shape)
        return [None if each is None else np.reshape(each, shape).tolist() for each in column.storage.to_pylist()]
    return list(column.to_pylist())


def read(manifest: Manifest) -> Any:
    """Return all rows of a batch, which the manifest vouches for and which have one schema."""
    manifest.verify()
    schemas = [pq.read_schema(file) for file in manifest.files]
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
    table = pa.concat_tables([pq.read_table(file) for file in manifest.files])
    assert table.num_rows == manifest.rows
    return table


def assert_direct(table: Any, model: Path, feeds: Mapping[str, Any], *, but: tuple[int, ...] = ()) -> None:
    """Check rows against a direct call of the model, bit for bit; rows in `but` have an error instead."""
    with onepass.load(model) as session:
        expected = session(dict(feeds))
    for name, array in expected.items():
        found = arrays(table, name)
        assert len(found) == len(array)
        for index, row in enumerate(array):
            assert found[index] == (None if index in but else row.tolist()), (name, index)
    errors = table["error"].to_pylist()
    assert [index for index, error in enumerate(errors) if error is not None] == list(but)
