"""Random inputs fit the model they were made for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onepass import InputError, Signature, TensorSpec, load
from onepass.sampling import batch_names, input_shapes, random_inputs
from tests.zoo import ZOO, Animal


@pytest.mark.parametrize("animal", [a for a in ZOO if a.name != "unknown rank"], ids=lambda animal: animal.name)
def test_they_run(animal: Animal) -> None:
    """Every model of the zoo accepts its random inputs, and the same seed gives the same ones."""
    signature = animal.graph.signature
    first, second = random_inputs(signature, seed=3), random_inputs(signature, seed=3)
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes()
    with load(animal.graph) as session:
        session(first)


def test_sizes() -> None:
    """Named dimensions get the size asked for, in every input; nameless ones are 1."""
    f32 = np.dtype(np.float32)
    signature = Signature((TensorSpec("a", f32, ("N", None, 2)), TensorSpec("b", f32, ("N",))), ())
    inputs = random_inputs(signature, sizes={"N": 5})
    assert inputs["a"].shape == (5, 1, 2)
    assert inputs["b"].shape == (5,)
    with pytest.raises(InputError, match=r"no dynamic dimension 'M'"):
        random_inputs(signature, sizes={"M": 5})


def _signature(*shapes: Any) -> Signature:
    return Signature(tuple(TensorSpec(f"x{i}", np.dtype(np.float32), shape) for i, shape in enumerate(shapes)), ())


dims = st.one_of(st.integers(0, 3), st.sampled_from(["N", "T", "H", "batch"]), st.none())


@given(
    st.lists(st.lists(dims, max_size=4).map(tuple), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["N", "T", "H", "batch"]), st.integers(0, 5)),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_a_name_has_one_size(shapes: list[Any], sizes: dict[str, int], batch: int, other: int) -> None:
    """Whatever the inputs, a name has one size on every axis of every input, the one asked for if it was."""
    signature = _signature(*shapes)
    known = {dim for shape in shapes for dim in shape if isinstance(dim, str)}
    sizes = {name: size for name, size in sizes.items() if name in known}
    found = input_shapes(signature, sizes=sizes, batch=batch, other=other)
    seen: dict[str, int] = dict(sizes)
    for spec in signature.inputs:
        assert spec.allows(found[spec.name])
        for dim, size in zip(spec.shape or (), found[spec.name], strict=True):
            if isinstance(dim, str):
                assert seen.setdefault(dim, size) == size


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        ([("batch", "time"), (2, "batch", 4)], {"batch"}),
        ([("T", "N", 4), ("N", 4)], {"N"}),
        ([("layers", "batch_size", 4)], {"batch_size"}),
        ([("rows", 3), ("rows", "rows")], {"rows"}),
        ([("queries", 3), ("keys", 3)], {"queries", "keys"}),
        ([(None, 3), (2, 3)], set()),
    ],
)
def test_what_counts_items(shapes: list[Any], names: set[str]) -> None:
    """A batch is found by its name, on whatever axis; where none says so, it is what comes first."""
    assert batch_names(_signature(*shapes)) == names


def test_whole_shapes() -> None:
    """A whole shape sizes what has no name, and the names in it for all inputs."""
    signature = _signature((None, 3, None, "W"), ("W", 2))
    found = input_shapes(signature, shapes={"x0": (1, 3, 48, 192)})
    assert found == {"x0": (1, 3, 48, 192), "x1": (192, 2)}
    with pytest.raises(InputError, match=r"'x0': expected a shape that fits float32 \[\?, 3.* got \[1, 4, 48, 192\]"):
        input_shapes(signature, shapes={"x0": (1, 4, 48, 192)})
    with pytest.raises(InputError, match=r"sets W to 5, but it is already 192"):
        input_shapes(signature, shapes={"x0": (1, 3, 48, 192), "x1": (5, 2)})
    with pytest.raises(InputError, match=r"no input 'x'. Did you mean"):
        input_shapes(signature, shapes={"x": (1,)})
    with pytest.raises(InputError, match=r"no dynamic dimension 'H'.*shapes=\{'x0': \(8, 3, 8, 8\)\}"):
        input_shapes(signature, sizes={"H": 3})


def test_unknown_rank() -> None:
    """Without a rank no array can be made up, unless its shape is given."""
    signature = Signature((TensorSpec("x", np.dtype(np.float32), None),), ())
    with pytest.raises(InputError, match="'x' has unknown rank"):
        random_inputs(signature)
    assert random_inputs(signature, shapes={"x": (2, 3)})["x"].shape == (2, 3)
