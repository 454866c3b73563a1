"""Large copies that several threads share: whole, of whatever dtype, and over when they are said to be."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onepass.runtime.cuda.copying import Copying, _helpers
from tests.threads import in_threads, wait


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onepass.runtime.cuda.copying.SHARED_BYTES", 64)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 40), max_size=3),
    dtypes=st.sampled_from([("f4", "f4"), ("i8", "i4"), ("?", "?"), ("c16", "c16"), ("f8", "f4"), ("bf16", "bf16")]),
)
def test_all_is_copied(shape: list[int], dtypes: tuple[str, str]) -> None:
    """Arrays of every size and rank arrive whole, in the target's dtype."""
    source_type, target_type = (ml_dtypes.bfloat16 if each == "bf16" else each for each in dtypes)
    source = (np.arange(np.prod(shape, dtype=int)) % 100).astype(source_type).reshape(shape)
    target = np.zeros(shape, target_type)
    Copying().copy(target, source)
    np.testing.assert_array_equal(target, source.astype(target_type))


@pytest.mark.parametrize(("size_bytes", "helpers"), [(63, 0), (64, 1), (127, 1), (128, 2), (192, 3), (100_000, 3)])
def test_how_many_help(size_bytes: int, helpers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is copied by the caller alone; so much is worth a helper, and twice as much two."""
    asked = [0]
    monkeypatch.setattr(_helpers, "most", 3)
    monkeypatch.setattr(_helpers, "ask", lambda _, count: asked.append(count))
    target, source = np.zeros(size_bytes, np.uint8), np.ones(size_bytes, np.uint8)
    Copying().copy(target, source)
    assert asked[-1] == helpers
    assert target.all()


def test_many_callers_at_once() -> None:
    """The helpers serve all callers, and none gets another's numbers."""

    def work(number: int) -> None:
        copying, target = Copying(), np.empty(3000, np.int32)
        for turn in range(50):
            copying.copy(target, np.full(3000, 100 * turn + number, np.int32))
            assert (target == 100 * turn + number).all()

    in_threads(6, work)


def test_an_error_of_a_helper_is_the_callers() -> None:
    """What goes wrong in a helper is raised where the copy was asked for, and the next copy is a good one."""
    copying, target = Copying(), np.zeros(4000, np.int32)
    one, all_of_them = np.array([1] * 3999 + ["no number"], object), np.full(4000, "no number", object)
    for source in (one, all_of_them) * 10:  # whoever comes to a piece
        with pytest.raises(ValueError, match="no number"):
            copying.copy(target, source)
        copying.copy(target, np.full(4000, 7))
        assert (target == 7).all()


def test_a_caller_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a signal handler raises meanwhile, nothing is written any more once that is out."""
    begun, go_on = threading.Event(), threading.Event()
    written: list[int] = []
    monkeypatch.setattr(_helpers, "most", 1)

    class Slow:
        """A piece of the target, which takes its time."""

        def __setitem__(self, _: object, value: Any) -> None:
            begun.set()
            wait(go_on)
            written.append(value)

    class Interrupting(deque[Any]):
        def popleft(self) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return super().popleft()
            wait(begun)
            threading.Timer(0.05, go_on.set).start()
            raise KeyboardInterrupt

    copying = Copying()
    copying._todo = Interrupting([(Slow(), 1), (Slow(), 2)])
    with pytest.raises(KeyboardInterrupt):
        copying.copy(np.zeros(4000, np.int32), np.ones(4000, np.int32))
    assert written == [1]
    assert not copying._todo
    assert not copying._inside


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_helpers_of_a_forked_process_are_its_own() -> None:
    """A process that was forked has no helpers yet, and starts some when it needs them."""
    target, source = np.zeros(4000, np.int32), np.ones(4000, np.int32)
    Copying().copy(target, source)
    child = os.fork()
    if not child:
        target[:] = 0
        Copying().copy(target, source)
        alive = all(thread.is_alive() for thread in _helpers._threads)
        os._exit(0 if alive and target.all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
