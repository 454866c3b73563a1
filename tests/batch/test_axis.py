"""Rows and passes: every output of every row is what the model gives for that row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import InputError
from onepass.batch._axis import Axis
from onepass.batch._job import Job
from onepass.batch._rows import Item, Rows
from onepass.tensors import Signature, TensorSpec
from tests.zoo import ZOO, Animal, model


def _spec(name: str, *shape: Any) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


@pytest.mark.parametrize("animal", [each for each in ZOO if each.graph.signature.inputs], ids=lambda each: each.name)
def test_zoo(animal: Animal) -> None:
    """Of every model that there is, rows have the outputs that its reference computes, whatever counts as a row."""
    with onepass.load(animal.graph) as session:
        rows = Rows(session, Job(onepass.ModelSpec("unused"), batch=2))
        axis = rows.axis
        for case in animal.cases:
            count = {len(array) for array in case.values()} if axis.stacked else {1}
            if len(count) != 1 or 0 in count:
                continue
            size = count.pop()
            items = [
                Item(str(index), {name: array[index] if axis.stacked else array for name, array in case.items()})
                for index in range(size)
            ]
            done = [each for some in rows.done(items, threads=2, passes=2) for each in some]
            assert [each.error for each in done] == [None] * size
            for index, each in enumerate(done):
                whole = axis.exact or not axis.stacked
                alone = case if whole else {name: array[index : index + 1] for name, array in case.items()}
                for name, expected in session(alone).items():
                    found = np.asarray(each.outputs[name])  # type: ignore[index]
                    wanted = expected[index if whole else 0] if name in axis.split else expected
                    assert found.dtype == expected.dtype
                    if found.dtype == object:
                        assert found.tolist() == np.asarray(wanted, object).tolist()
                    else:
                        np.testing.assert_allclose(found.astype(complex), wanted.astype(complex), rtol=1e-6, atol=1e-6)
            rows.table(done).validate(full=True)


@pytest.mark.parametrize(("inputs", "outputs", "rows", "stacked", "split"), [
    ([("N", 4)], [("N", 4), ("N",)], 32, True, {"o0", "o1"}),
    ([(None, 4)], [(None, 4)], 32, True, {"o0"}),
    ([("N", 4)], [("K", 4), ("N",)], 1, True, {"o1"}),  # boxes of all rows together
    ([("N", 4)], [()], 1, True, set()),
    ([(1, 4)], [(1, 2), ("K", 2)], 1, True, {"o0"}),
    ([(8, 4)], [(8, 2)], 8, True, {"o0"}),
    ([(3, 4)], [(7,)], 1, False, set()),
    ([("N", 4), ("M", 4)], [("N",)], 1, False, set()),
    ([("N", 4), ()], [("N",)], 1, False, set()),
])  # fmt: skip
def test_which_axis_counts_rows(
    inputs: list[Any], outputs: list[Any], rows: int, stacked: bool, split: set[str]
) -> None:
    """A first axis that all inputs share counts rows; an output without it makes a pass take one row."""
    signature = Signature(
        tuple(_spec(f"i{n}", *shape) for n, shape in enumerate(inputs)),
        tuple(_spec(f"o{n}", *shape) for n, shape in enumerate(outputs)),
    )
    axis = Axis.of(signature, None, 32)
    assert (axis.rows, axis.stacked, axis.split) == (rows, stacked, frozenset(split))


def test_an_output_of_the_pass_is_left_out_of_the_choice() -> None:
    """Outputs that are not asked for do not make passes small."""
    signature = Signature((_spec("x", "N", 4),), (_spec("rows", "N", 2), _spec("all", "K", 2)))
    assert Axis.of(signature, None, 32).rows == 1
    assert Axis.of(signature, ["rows"], 32).rows == 32


@given(st.integers(1, 9), st.integers(1, 4), st.lists(st.integers(1, 3), min_size=1, max_size=12))
def test_shapes_that_vary_by_row(batch: int, passes: int, lengths: list[int]) -> None:
    """Rows of several shapes come back in their order, each with its own outputs, however they are put into passes."""
    rows = [Item(str(n), {"x": np.full((length,), n, np.float32)}) for n, length in enumerate(lengths)]
    done = [each for some in _VARYING(batch).done(rows, threads=2, passes=passes) for each in some]
    assert [each.key for each in done] == [item.key for item in rows]
    for number, (each, length) in enumerate(zip(done, lengths, strict=True)):
        assert each.outputs is not None
        assert each.outputs["y"].tolist() == [-float(number)] * length
        assert each.outputs["total"].item() == number * length


_SESSION = onepass.load(
    model(
        """(float[N, L] x) => (float[N, L] y, float[N] total) <int64[1] a = {1}> {
            y = Neg (x)
            total = ReduceSum <keepdims = 0> (x, a)
        }"""
    )
)


def _VARYING(batch: int) -> Rows:  # noqa: N802
    return Rows(_SESSION, Job(onepass.ModelSpec("unused"), batch=batch))


def test_a_fixed_batch_is_filled_up() -> None:
    """A model that takes three rows at once is given three, and the rows that were made up are dropped."""
    with onepass.load(model("(float[3, 2] x) => (float[3, 2] y) { y = Neg (x) }")) as session:
        rows = Rows(session, Job(onepass.ModelSpec("unused")))
        items = [Item(str(n), {"x": np.array([n, n], np.float32)}) for n in range(7)]
        done = [each for some in rows.done(items, threads=1, passes=1) for each in some]
    assert [each.outputs["y"].tolist() for each in done if each.outputs] == [[-n, -n] for n in range(7)]


@pytest.mark.parametrize(("row", "message"), [
    ({"x": np.zeros(5, np.float32)}, r"input 'x': expected float32 \[4\] per row, got float32 \[5\]"),
    ({"x": np.zeros(4)}, r"input 'x': expected float32 \[4\] per row, got float64"),
    ({"x": None}, "column 'x' is empty"),
    ({"y": 1.0, "z": 2.0}, "no column 'x' for input 'x'; the table has y, z"),
    ({"x": InputError("no array")}, "column 'x': no array"),
    ({"x": [1, 2, [3]]}, "nested lists must have equal lengths"),
    ({"x": "nowhere.png"}, "file 'nowhere.png' not found"),
    ({"x": b"no picture"}, "bytes in 'x'"),
    ({"x": ["a", "b", "c", "d"]}, "got string"),
])  # fmt: skip
def test_bad_rows(row: dict[str, Any], message: str) -> None:
    """A row that the model cannot take says what came and what was expected; rows beside it are done."""
    import re

    from tests.zoo import BY_NAME

    good = {"x": np.ones(4, np.float32)}
    with onepass.load(BY_NAME["three heads"].graph) as session:
        rows = Rows(session, Job(onepass.ModelSpec("unused")))
        items = [Item("a", good), Item("b", row), Item("c", good)]
        done = [each for some in rows.done(items, threads=2, passes=1) for each in some]
    assert [each.error is None for each in done] == [True, False, True]
    assert re.search(message, done[1].error or ""), done[1].error


def test_a_pass_that_fails_costs_one_row() -> None:
    """Where the model itself fails at a row, those in the same pass have their outputs all the same."""
    graph = model(
        """(float[N, 3] x, int64[N] i) => (float[N] y) <int64[1] a = {1}> {
            c = Unsqueeze (i, a)
            t = GatherElements <axis = 1> (x, c)
            y = Squeeze (t, a)
        }"""
    )
    with onepass.load(graph) as session:
        rows = Rows(session, Job(onepass.ModelSpec("unused")))
        items = [
            Item(str(n), {"x": np.array([1, 2, 3], np.float32), "i": np.array(i)}) for n, i in enumerate([0, 1, 9, 2])
        ]
        done = [each for some in rows.done(items, threads=1, passes=1) for each in some]
    assert [None if each.outputs is None else float(each.outputs["y"]) for each in done] == [1, 2, None, 3]
    assert done[2].error
