"""Random inputs fit the model they were made for."""

import numpy as np
import pytest

from onepass import InputError, Signature, TensorSpec, load
from onepass.sampling import random_inputs
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


def test_unknown_rank() -> None:
    """Without a rank there is no array that fits."""
    signature = Signature((TensorSpec("x", np.dtype(np.float32), None),), ())
    with pytest.raises(InputError, match="'x' has no known rank"):
        random_inputs(signature)
