"""A model and its rows, for all tests of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batch.functions import BAD
from tests.batch.rows import numbers, tensor_column, three_heads


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a model with three heads."""
    return three_heads(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def x() -> Any:
    """Float32 [100, 4]."""
    return numbers()


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory, x: Any) -> Path:
    """The same as Parquet, with names: ``row 0`` and so on."""
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    names = [f"row {index}" for index in range(len(x))]
    pq.write_table(pa.table({"x": tensor_column(x), "name": names}), path, row_group_size=17)
    return path


@pytest.fixture(scope="session")
def bad_table(tmp_path_factory: pytest.TempPathFactory, x: Any) -> Path:
    """The same, where row 42 begins with the number that functions of `tests.batch.functions` fail at."""
    path = tmp_path_factory.mktemp("table") / "bad.parquet"
    bad = x.copy()
    bad[42, 0] = BAD
    pq.write_table(pa.table({"x": tensor_column(bad)}), path)
    return path
