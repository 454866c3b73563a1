"""The one checker that every backend passes: the same promises, on every model of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onepass import OnnxGraph, Outputs, Session
from tests.threads import in_threads
from tests.zoo import Animal, Arrays

Open = Callable[[OnnxGraph], Session]


def check(open_session: Open, animal: Animal) -> None:
    """Run all promises on one model; an AssertionError says which one is broken."""
    with open_session(animal.graph) as session:
        names = list(animal.reference(animal.cases[0]))
        assert list(session.signature.output_names) == names, "outputs are not in the model's order"
        for case in animal.cases:
            _check_values(session, animal, case)
            _check_subsets(session, animal, case)
            _check_out(session, animal, case)
            _check_empty_inputs(session, animal, case)
            _check_profile(session, animal, case)
        _check_results_stay(session, animal)
        _check_threads(session, animal)
    assert session.closed


def assert_same(outputs: Outputs, expected: Arrays) -> None:
    """Names, order, dtypes, shapes and values must all be those expected."""
    assert list(outputs) == list(expected), f"order: {list(outputs)}, expected {list(expected)}"
    for name, array in outputs.items():
        wanted = np.asarray(expected[name])
        assert isinstance(array, np.ndarray), name
        assert array.dtype == wanted.dtype, f"{name}: {array.dtype}, expected {wanted.dtype}"
        assert array.shape == wanted.shape, f"{name}: {array.shape}, expected {wanted.shape}"
        if array.dtype == object:
            np.testing.assert_array_equal(array, wanted, err_msg=name)
            assert all(type(each) is str for each in array.flat), name
            continue
        np.testing.assert_allclose(_wide(array), _wide(wanted), rtol=1e-3, atol=1e-6, err_msg=name)


def _wide(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(np.float64)


def _check_values(session: Session, animal: Animal, case: Arrays) -> None:
    before = {name: array.copy() for name, array in case.items()}
    expected = animal.reference(case)
    assert_same(session(case), expected)
    keywords: dict[str, Any] = dict(case)
    assert_same(session(**keywords), expected)
    assert_same(session.submit(case).result(timeout=30), expected)
    for name, array in case.items():
        np.testing.assert_array_equal(array, before[name], err_msg=f"input {name} was written to")
        if array.ndim:
            strided = np.repeat(array, 2, axis=0)[::2]
            assert_same(session({**case, name: strided}), expected)


def _check_subsets(session: Session, animal: Animal, case: Arrays) -> None:
    expected = animal.reference(case)
    for name in expected:
        assert_same(session(case, outputs=[name]), {name: expected[name]})
    assert_same(session(case, outputs=[*reversed(list(expected))]), expected)


def _check_out(session: Session, animal: Animal, case: Arrays) -> None:
    expected = animal.reference(case)
    name = next(iter(expected))
    target = np.empty_like(np.asarray(expected[name]))
    outputs = session(case, out={name: target})
    assert outputs[name] is target
    assert_same(outputs, expected)


def _check_empty_inputs(session: Session, animal: Animal, case: Arrays) -> None:
    """Arrays to be filled have the shapes asked for, take a call's inputs, and may be filled again."""
    inputs = session.empty_inputs(**{name: array.shape for name, array in case.items()})
    assert {name: (a.dtype, a.shape) for name, a in inputs.items()} == {n: (a.dtype, a.shape) for n, a in case.items()}
    for _ in range(2):
        for name, array in case.items():
            inputs[name][...] = array
        assert_same(session(inputs), animal.reference(case))


def _check_profile(session: Session, animal: Animal, case: Arrays) -> None:
    """Times are told in milliseconds, or not at all; measuring changes no result."""
    times = session.profile(case)
    assert times is None or (times and all(milliseconds >= 0 for milliseconds in times.values())), times
    assert_same(session(case), animal.reference(case))


def _check_results_stay(session: Session, animal: Animal) -> None:
    """Keep many results, spoil inputs and results: nothing that was returned before may change."""
    cases = [{name: array.copy() for name, array in case.items()} for case in animal.cases]
    kept = [(session(case), animal.reference(animal.cases[i])) for _ in range(10) for i, case in enumerate(cases)]
    for case in cases:
        for array in case.values():
            array[...] = np.zeros_like(array)
    for array in kept[-1][0].values():
        array[...] = np.zeros_like(array)
    for outputs, expected in kept[:-1]:
        assert_same(outputs, expected)
    assert_same(session(animal.cases[0]), animal.reference(animal.cases[0]))


def _check_threads(session: Session, animal: Animal) -> None:
    def work(index: int) -> None:
        for turn in range(5):
            case = animal.cases[(index + turn) % len(animal.cases)]
            assert_same(session(case), animal.reference(case))

    in_threads(4, work)
