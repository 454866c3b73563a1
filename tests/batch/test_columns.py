"""Outputs as Arrow columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass.batch._columns import column, fields_of
from onepass.batch._values import value_of
from onepass.tensors import DTYPES, STRING, TensorSpec

_DTYPES = [*DTYPES.values(), STRING]


@st.composite
def _rows(draw: st.DrawFn) -> tuple[TensorSpec, list[Any]]:
    """Draw an output, and some rows of it; some rows are missing."""
    dtype = draw(st.sampled_from(_DTYPES))
    shape = draw(st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3).map(tuple))
    rows: list[Any] = []
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            rows.append(None)
            continue
        sizes = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)) if shape is None else tuple(
            draw(st.integers(0, 3)) if size is None else size for size in shape
        )  # fmt: skip
        numbers = draw(hnp.arrays(np.int8, sizes, elements=st.integers(0, 4)))
        texts = np.array([f"text {each}" for each in numbers.flat] or [], object).reshape(sizes)
        rows.append(texts if dtype == STRING else numbers.astype(dtype))
    return TensorSpec("out", dtype, shape), rows


def _as_stored(array: Any) -> Any:
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], -1)
    return array if array.dtype == STRING or array.dtype.isbuiltin == 1 else array.astype(np.float32)


@given(_rows())
@example((TensorSpec("out", np.dtype(bool), (2, 3)), [np.eye(2, 3, dtype=bool), None]))
def test_what_is_written_is_read(case: tuple[TensorSpec, list[Any]]) -> None:
    """Any dtype and shape, fixed or not, comes back from a column as it was, and a missing row as a null."""
    spec, rows = case
    [field] = fields_of({"out": spec})
    built = column(spec, rows)
    assert built.type == field.type
    assert built.null_count == sum(row is None for row in rows)
    built.validate(full=True)
    for scalar, row in zip(built, rows, strict=True):
        if row is None:
            assert not scalar.is_valid
            continue
        stored = _as_stored(row)
        if spec.shape is None:
            assert scalar["shape"].as_py() == list(stored.shape)
            found = scalar["data"].as_py()
        else:
            found = value_of(scalar)
        np.testing.assert_array_equal(np.asarray(found, stored.dtype).reshape(stored.shape), stored)


_TENSOR = "extension<arrow.fixed_shape_tensor[value_type=float, shape=[%s]]>"
_WITHOUT_TENSORS = {
    _TENSOR % "18,2": "list<item: fixed_size_list<item: float>[2]>", _TENSOR % "2": "list<item: float>",
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "shape", "text"), [
    (np.float32, (), "float"),
    (np.int64, (), "int64"),
    (STRING, (), "string"),
    (np.float32, (18, 2), _TENSOR % "18,2"),
    (np.float32, ("K", 4), "list<item: fixed_size_list<item: float>[4]>"),
    (ml_dtypes.bfloat16, (2,), _TENSOR % "2"),
    (np.complex64, (), _TENSOR % "2"),
    (np.uint8, None, "struct<shape: list<item: int32>, data: list<item: uint8>>"),
])  # fmt: skip
def test_types_follow_from_the_model(dtype: Any, shape: Any, text: str) -> None:
    """A column's type is known before a row is there, so that it is the same in every file."""
    [field] = fields_of({"out": TensorSpec("out", np.dtype(dtype), shape)})
    if int(pa.__version__.split(".")[0]) < 26:  # which cannot read a tensor that is missing
        text = _WITHOUT_TENSORS.get(text, text)
    assert str(field.type).replace("element:", "item:") == text


def test_a_file_of_missing_rows_has_the_same_schema(tmp_path: Path) -> None:
    """Rows that all failed, or happen to have equal shapes, do not change a file's types."""
    import pyarrow as pa

    spec = TensorSpec("boxes", np.dtype(np.float32), ("K", 4))
    schema = pa.schema(fields_of({"boxes": spec}))
    found = []
    cases: list[list[Any]] = [[None, None], [np.zeros((2, 4), np.float32)] * 2, [np.zeros((0, 4), np.float32)]]
    for index, rows in enumerate(cases):
        path = tmp_path / f"{index}.parquet"
        pq.write_table(pa.Table.from_arrays([column(spec, rows)], schema=schema), path)
        found.append(pq.read_schema(path))
    assert found == [schema] * 3
