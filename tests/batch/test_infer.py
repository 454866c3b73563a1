"""`Infer`: Arrow tables through a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import onepass.batch
from onepass import InputError
from tests.batch.rows import assert_direct, tensor_column
from tests.zoo import model


def test_tables_go_through(heads: Path, x: Any) -> None:
    """A table comes out row for row, with the columns to keep, errors in place of outputs, and the schema promised."""
    infer = onepass.batch.Infer(heads, batch=8, keep=["id"], columns={"x": "numbers"})
    found = infer(pa.table({"numbers": tensor_column(x), "id": range(len(x))}))
    assert_direct(found, heads, {"x": x})
    assert found["id"].to_pylist() == list(range(len(x)))
    assert found.schema.names == ["id", *infer.schema.names]
    bad = infer(pa.table({"numbers": [[1.0, 2.0]], "id": [7]}))
    assert bad["zebra"].to_pylist() == [None]
    assert "per row, got float64 [2]" in bad["error"][0].as_py()
    assert bad.select(infer.schema.names).schema.equals(found.select(infer.schema.names).schema)


def test_empty_tables_have_the_schema(heads: Path) -> None:
    """A block without rows is none that is different."""
    infer = onepass.batch.Infer(heads, outputs="ant")
    assert infer(pa.table({"x": pa.array([], pa.list_(pa.float32(), 4))})).schema.equals(infer.schema)


def test_outputs_feed_the_next_model(tmp_path: Path, heads: Path, x: Any) -> None:
    """What one model gives, of any shape, another takes as it is."""
    model("(float[N, L] x) => (float[N, L] y) { y = Neg (x) }").save(tmp_path / "m.onnx")
    first = onepass.batch.Infer(heads, outputs="zebra")(pa.table({"x": tensor_column(x)}))
    second = onepass.batch.Infer(tmp_path / "m.onnx", columns={"x": "zebra"})(first)
    third = onepass.batch.Infer(heads, columns={"x": "y"})(second)
    assert_direct(third, heads, {"x": x})


@pytest.mark.parametrize(("keep", "table", "message"), [
    (["ant"], None, r"keep=\['ant'\]: an output or the error column has the same name"),
    (["id"], pa.table({"x": [1]}), "no column 'id' to keep; the table has x"),
    ([], {"x": [1]}, "needs a pyarrow.Table, got dict"),
])  # fmt: skip
def test_wrong_arguments(keep: list[str], table: Any, message: str, heads: Path) -> None:
    """What it cannot do is said, in the user's words."""
    with pytest.raises(InputError, match=message):
        onepass.batch.Infer(heads, keep=keep)(table)
