"""Results that are kept, on a real GPU: small and large ones, in ever other places, and in a process that forks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import BuildOptions, Session
from onepass.engine import plan_from_graph
from tests.zoo import model

pytestmark = pytest.mark.gpu

_TACTICS = os.environ.get("TACTIC_SOURCES", "").split() or None
_SIZES = (3, 50_000, 1_500_000)
"""Numbers in each of two outputs: some that share a block, and some that are a block of huge pages each."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A model of two outputs, for all sizes."""
    graph = model(
        "(float[N] x) => (float[N] more, float[N] twice) { one = Constant <value_float = 1.0> ()"
        "\n more = Add (x, one) \n twice = Add (x, x) }"
    )
    options = BuildOptions(shapes=[{"x": ((1,), (50_000,), (1_500_000,))}], tactic_sources=_TACTICS)
    with onepass.load(plan_from_graph(graph, options)) as opened:
        yield opened


def _x(size: int, seed: int) -> np.ndarray[Any, Any]:
    return np.arange(size, dtype=np.float32) + seed


def _assert_right(outputs: onepass.Outputs, size: int, seed: int, names: tuple[str, ...] = ("more", "twice")) -> None:
    expected = {"more": _x(size, seed) + 1, "twice": _x(size, seed) * 2}
    assert tuple(outputs) == names
    for name in names:
        np.testing.assert_array_equal(outputs[name], expected[name])


@pytest.mark.parametrize("size", _SIZES)
def test_kept_results_stay(session: Session, size: int) -> None:
    """Many are kept, dropped, and kept again, of all outputs and of some, while others are computed in between."""
    for _ in range(3):
        kept = [session(x=_x(size, seed)) for seed in range(12)]
        some = [session(x=_x(size, seed), outputs=["twice"]) for seed in range(12)]
        for other in _SIZES:
            _assert_right(session(x=_x(other, 5)), other, 5)
        for seed in range(12):
            _assert_right(kept[seed], size, seed)
            _assert_right(some[seed], size, seed, ("twice",))
    assert all(each["eager_because"] is None for each in session.report()["passes"])


@pytest.mark.parametrize("size", _SIZES)
def test_results_go_elsewhere_only_where_they_are_kept(session: Session, size: int) -> None:
    """Inputs that are lent and those that are copied, in turn, with the last result held or not."""
    lent = session.empty_inputs(x=(size,))
    last = None
    for seed in range(40):
        if seed % 3:
            outputs = session(x=_x(size, seed))
        else:
            lent["x"][...] = _x(size, seed)
            outputs = session(lent)
        _assert_right(outputs, size, seed)
        if last is not None:
            _assert_right(last, size, seed - 1)
        last = outputs if seed % 5 else None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("size", _SIZES)
def test_a_fork_parts_nobody_from_results(session: Session, size: int) -> None:
    """The parent's results and their memory work on while a child lives; large results can be read in the child."""
    kept = [session(x=_x(size, seed)) for seed in range(6)]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent is through
        fine = (
            all((each["more"][:2] == _x(2, seed) + 1).all() for seed, each in enumerate(kept)) if size > 1e6 else True
        )
        os._exit(0 if fine else 1)
    os.close(reading)
    for turn in range(3):
        for outputs in kept:
            outputs["more"][:] = -1  # the pages are written by the processor, and next by the GPU
        kept.clear()
        kept += [session(x=_x(size, seed + turn)) for seed in range(6)]
        for seed, outputs in enumerate(kept):
            _assert_right(outputs, size, seed + turn)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
