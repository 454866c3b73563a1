"""Memory that is lent with results: used again, bounded, and given back."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass._errors import BackendError
from onepass.runtime.gpu.budget import Budget, HostMemory, KeptMemory, default_keep_bytes
from onepass.runtime.gpu.layout import arranged, size_of
from onepass.runtime.gpu.slots import HostSlot, Slots

_F4 = np.dtype(np.float32)


def _slots_of(budget: Budget, floats: int) -> tuple[Slots[HostSlot], int]:
    places = arranged([("y", _F4, (floats,))])
    return budget.slots(HostMemory, places), size_of(places)


def _lend(slots: Slots[HostSlot]) -> np.ndarray[Any, Any] | None:
    slot = slots.take() or slots.more()
    return None if slot is None else slot.arrays(["y"])[0]


@settings(max_examples=60)
@given(
    floats=st.integers(1, 3000),
    limit_bytes=st.integers(0, 200_000),
    moves=st.lists(st.one_of(st.none(), st.integers(0, 30)), min_size=1, max_size=300),
)
def test_nobody_shares_memory_and_the_budget_holds(floats: int, limit_bytes: int, moves: list[int | None]) -> None:
    """However results are kept and dropped, no two share memory, none changes, and the budget is never exceeded."""
    budget = Budget(limit_bytes)
    slots, _ = _slots_of(budget, floats)
    held: list[tuple[int, np.ndarray[Any, Any]]] = []
    for turn, move in enumerate(moves):
        if move is not None and held:
            held.pop(move % len(held))
            continue
        array = _lend(slots)
        if array is not None:
            array[:] = turn
            held.append((turn, array[::2]))
        assert budget.used_bytes <= limit_bytes
    for number, kept in held:
        assert (kept == number).all()


@pytest.mark.parametrize("floats", [10, 1000, 100_000])
@pytest.mark.parametrize("kept", [1, 2, 7, 100])
def test_a_caller_that_keeps_some_makes_few_more(floats: int, kept: int) -> None:
    """Slots do not grow while a caller keeps some results and lets go of all others, the last of them later."""
    slots, _ = _slots_of(Budget(1 << 30), floats)
    held = [_lend(slots) for _ in range(kept)]
    last = None
    for _ in range(500):
        last = _lend(slots)
    assert last is not None
    assert kept < len(slots) <= kept + 8
    assert all(array is not None for array in held)


@pytest.mark.parametrize("floats", [1000, 500_000])
def test_memory_is_given_back(floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After many results were kept and dropped, memory goes back within some thousand calls, all but a little."""
    monkeypatch.setattr("onepass.runtime.gpu.slots._IDLE_SECONDS", 0.0)
    budget = Budget(1 << 30)
    slots, size_bytes = _slots_of(budget, floats)
    held = [_lend(slots) for _ in range(3000 if floats == 1000 else 50)]
    most = budget.used_bytes
    assert most >= len(held) * size_bytes
    held.clear()
    for _ in range(4000):
        _lend(slots)
    assert budget.used_bytes < most / 2  # what shares an allocation with the last goes with that


def test_what_one_shape_does_not_need_another_gets() -> None:
    """Idle memory of one shape makes room for results of another, though nobody calls the first any more."""
    budget = Budget(1 << 20)
    first, _ = _slots_of(budget, 60_000)
    second, _ = _slots_of(budget, 200_000)
    held = [_lend(first) for _ in range(4)]
    assert _lend(second) is None
    held.clear()
    assert _lend(second) is not None


def test_small_results_share_an_allocation() -> None:
    """A thousand small results take some allocations only, and those go when the last result in them is gone."""
    asked: list[int] = []

    def block(size_bytes: int) -> HostMemory:
        asked.append(size_bytes)
        return HostMemory(size_bytes)

    budget = Budget(1 << 30)
    slots = budget.slots(block, arranged([("y", _F4, (16,))]))
    held = [_lend(slots) for _ in range(1000)]
    assert len(asked) < 12
    del slots
    gc.collect()
    assert budget.used_bytes == sum(asked[:-1]) + asked[-1]
    held.clear()
    assert budget.used_bytes == 0


def test_what_is_left_of_a_budget_is_used() -> None:
    """Results share allocations that double, as long as there is room; one that fits by itself is had all the same."""
    budget = Budget(7 * 256)
    slots, size_bytes = _slots_of(budget, 64)
    held = [_lend(slots) for _ in range(8)]
    assert size_bytes == 256
    assert [array is None for array in held] == [False] * 7 + [True]


def test_a_machine_without_page_locked_memory() -> None:
    """Where the machine refuses, there are no more slots, and nothing counts as used."""

    def refuse(_: int) -> HostMemory:
        raise BackendError("not enough memory")

    budget = Budget(1 << 30)
    slots = budget.slots(refuse, arranged([("y", _F4, (16,))]))
    assert _lend(slots) is None
    assert budget.used_bytes == 0


def test_the_default_is_a_share_of_the_machine() -> None:
    """By default results may have a part of the machine's memory, and never more than four gibibytes."""
    assert 0 < default_keep_bytes() <= 4 << 30
    assert KeptMemory.of(None).page_locked.limit_bytes == default_keep_bytes()
    assert KeptMemory.of(7).ordinary.limit_bytes == 7


def test_ordinary_memory_is_aligned() -> None:
    """Results in ordinary memory begin where those in page-locked memory would."""
    for size in (1, 255, 4096):
        assert np.asarray(HostMemory(size)).ctypes.data % 256 == 0
