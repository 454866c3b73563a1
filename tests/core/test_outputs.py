"""Outputs: a read-only mapping in the model's own order."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onepass import OutputNameError, Outputs

names = st.text(min_size=1, max_size=6)


def _outputs() -> Outputs:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "heatmaps": np.zeros((2, 18, 3, 4), np.float32),
        "radius": np.ones((2, 1), np.float16),
    }
    return Outputs(arrays)


@given(st.lists(names, unique=True, max_size=8))
def test_order_is_kept(order: list[str]) -> None:
    """Whatever the names, iteration, keys and values keep the order they were given in."""
    outputs = Outputs((name, np.array(i)) for i, name in enumerate(order))
    assert list(outputs) == list(outputs.keys()) == order
    assert [int(value) for value in outputs.values()] == list(range(len(order)))
    assert len(outputs) == len(order)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(hnp.arrays(np.float32, st.lists(st.integers(0, 3), max_size=3).map(lambda s: (n, *s))),
                           min_size=1, max_size=4)
    )
)  # fmt: skip
def test_split_then_stack_is_the_same(arrays: list[np.ndarray[Any, Any]]) -> None:
    """Splitting along the batch and stacking the parts gives back every array."""
    outputs = Outputs({str(i): array for i, array in enumerate(arrays)})
    parts = outputs.split()
    for name, array in outputs.items():
        np.testing.assert_array_equal(np.stack([part[name] for part in parts]), array)


def test_split_gives_views_of_rank_zero_too() -> None:
    """A part of a vector is still an array, and shares memory with the whole."""
    outputs = Outputs({"y": np.arange(3.0)})
    part = outputs.split()[1]["y"]
    assert isinstance(part, np.ndarray)
    assert part.shape == ()
    assert np.shares_memory(part, outputs["y"])


def test_split_of_an_empty_batch_is_empty() -> None:
    """No items, no parts."""
    assert Outputs({"y": np.zeros((0, 3))}).split() == []


@pytest.mark.parametrize(
    "arrays", [{"a": np.zeros((2, 3)), "b": np.zeros(3)}, {"a": np.zeros((2, 3)), "loss": np.zeros(())}, {}]
)
def test_split_needs_one_batch(arrays: Any) -> None:
    """Outputs that share no leading dimension cannot be split; the message shows the shapes."""
    with pytest.raises(ValueError, match="have no common leading dimension"):
        Outputs(arrays).split()


def test_access_by_name_and_attribute() -> None:
    """An output is reached by key, by attribute, or several by a tuple of keys."""
    outputs = _outputs()
    assert outputs["radius"] is outputs.radius
    heatmaps, radius = outputs["heatmaps", "radius"]
    assert heatmaps is outputs["heatmaps"]
    assert radius is outputs["radius"]
    assert "radius" in dir(outputs)
    assert dict(**outputs) == outputs.as_dict()


def test_method_names_win() -> None:
    """An output called like a method is reached by key alone."""
    outputs = Outputs({"items": np.array(1)})
    assert callable(outputs.items)
    assert outputs["items"] == 1


def test_unknown_names() -> None:
    """A wrong name is told with those there are, and is the error that each way of access owes."""
    outputs = _outputs()
    with pytest.raises(OutputNameError, match=r"no output 'radios'. Did you mean 'radius'") as caught:
        _ = outputs["radios"]
    assert isinstance(caught.value, KeyError)
    assert not str(caught.value).startswith(("'", '"'))
    with pytest.raises(AttributeError, match="Did you mean 'radius'"):
        _ = outputs.radios
    assert outputs.get("radios") is None
    assert "radios" not in outputs
    assert not outputs.__contains__(())


def test_read_only() -> None:
    """Names cannot be set, deleted or replaced."""
    outputs: Any = _outputs()
    with pytest.raises(AttributeError, match="read-only"):
        outputs.radius = 1
    with pytest.raises(AttributeError, match="read-only"):
        del outputs.radius
    with pytest.raises(TypeError):
        outputs["radius"] = 1


def test_as_dict_is_a_copy() -> None:
    """The dict may be changed without changing the outputs."""
    outputs = _outputs()
    mine = outputs.as_dict()
    mine.pop("radius")
    assert list(outputs) == ["heatmaps", "radius"]


def test_repr_has_no_data() -> None:
    """Printed, outputs show names, dtypes and shapes."""
    assert repr(_outputs()) == "Outputs(heatmaps=float32[2, 18, 3, 4], radius=float16[2, 1])"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_and_pickles(again: Any) -> None:
    """Outputs travel to other processes."""
    outputs = again(_outputs())
    assert list(outputs) == ["heatmaps", "radius"]
    np.testing.assert_array_equal(outputs.radius, np.ones((2, 1), np.float16))


def test_a_bare_object_does_not_recurse() -> None:
    """What copy and pickle make before they fill it has no outputs, and says so."""
    with pytest.raises(AttributeError):
        _ = Outputs.__new__(Outputs).radius


def test_equality_is_identity() -> None:
    """Comparing outputs gives one truth value instead of raising."""
    outputs = _outputs()
    assert outputs == outputs  # noqa: PLR0124
    assert outputs != _outputs()
    assert {outputs: 1}[outputs] == 1
