"""Page-locked memory for large results: huge pages of the system's, locked, used again and given back."""

from __future__ import annotations

import gc
import mmap
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onepass
from onepass import BackendError
from onepass.runtime.cuda._huge_pages import HUGE_BYTES, fresh_memory, may_be_page_locked
from onepass.runtime.cuda.device import Device
from tests.checker import assert_same
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed
from tests.runtime.gpu import fake_gpu, plan_of
from tests.runtime.three import THREE, expected_of, x_of

ROWS = 60_000
"""Of the three heads: results of more than a huge page."""

pytestmark = pytest.mark.skipif(not may_be_page_locked(), reason="huge pages are page-locked on newer Linux only")


@pytest.fixture
def large() -> Iterator[tuple[FakeCuda, onepass.Session]]:
    """Give a session whose results are large."""
    plan_shapes = [{"x": ((1, 4), (4, 4), (ROWS, 4))}]
    with (
        fake_gpu("10.16.1", results_gone=True) as (cuda, _),
        onepass.load(plan_of(THREE.graph, shapes=plan_shapes), keep_bytes=5 * HUGE_BYTES) as session,
    ):
        yield cuda, session


@settings(max_examples=10, deadline=None)
@given(size_bytes=st.integers(1, 5 * HUGE_BYTES))
def test_fresh_memory(size_bytes: int) -> None:
    """Memory is as long as it was asked for, begins where a huge page does, is zero, and can be written."""
    memory = fresh_memory(size_bytes)
    assert memory.nbytes == size_bytes
    assert memory.ctypes.data % HUGE_BYTES == 0
    assert not memory.any()
    memory[:] = 1


def test_large_results_are_page_locked_in_huge_pages(large: tuple[FakeCuda, onepass.Session]) -> None:
    """Kept results lie in memory that was registered, up to the budget; it is used again, and freed at the end."""
    cuda, session = large
    for _ in range(2):
        kept = [session(x=x_of(ROWS, seed)) for seed in range(4)]
        for seed, outputs in enumerate(kept):
            assert_same(outputs, expected_of(ROWS, seed))
        before = cuda.calls["cuMemHostRegister"]
        assert before >= 2
        del kept, outputs
    assert cuda.calls["cuMemHostRegister"] == before
    session.close()
    gc.collect()
    assert cuda.calls["cuMemHostUnregister"] == before


def test_results_in_huge_pages_outlive_the_session(large: tuple[FakeCuda, onepass.Session]) -> None:
    """The last array on a block keeps it, whatever was closed."""
    cuda, session = large
    session(x=x_of(ROWS))
    row = session(x=x_of(ROWS, 1))["zebra"][7:9]
    value = row.copy()
    session.close()
    gc.collect()
    assert cuda.live["pinned memory"] == 1
    np.testing.assert_array_equal(row, value)


@pytest.mark.parametrize("has_any", [True, False])
def test_memory_that_cannot_be_page_locked(large: tuple[FakeCuda, onepass.Session], has_any: bool) -> None:
    """Where the system refuses huge pages, CUDA allocates results; if that has no more, they are ordinary memory."""
    cuda, session = large
    session(x=x_of(ROWS))
    before = cuda.calls["cuMemHostAlloc"], cuda.live["pinned memory"]
    cuda.fail_next("cuMemHostRegister", "CUDA_ERROR_NOT_SUPPORTED")
    if not has_any:  # but for what results are copied from
        cuda.fail_next("cuMemHostAlloc", "CUDA_ERROR_OUT_OF_MEMORY")
        cuda.fail_next("cuMemHostAlloc", "CUDA_ERROR_OUT_OF_MEMORY", after=1, times=20)
    kept = [session(x=x_of(ROWS, seed)) for seed in range(4)]
    assert cuda.calls["cuMemHostAlloc"] >= before[0] + 2
    assert (cuda.live["pinned memory"] > before[1] + 1) == has_any
    for seed, outputs in enumerate(kept):
        assert_same(outputs, expected_of(ROWS, seed))
    del kept, outputs


def test_no_memory_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no more says how much was asked for."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(BackendError, match=r"not enough memory for 3,000,000 bytes: .*Cannot allocate memory"):
        fresh_memory(3_000_000)


@pytest.mark.parametrize(
    ("release", "locked"), [("4.18.0-553.el8.x86_64", False), ("5.8.0", False), ("5.10.1", True), ("6.18.44-fc", True)]
)
def test_older_systems_have_it_from_cuda(monkeypatch: pytest.MonkeyPatch, release: str, locked: bool) -> None:
    """Where a fork would part a process from pages that the GPU writes to, CUDA allocates the memory."""
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:2], release, *uname[3:])))
    cuda = FakeCuda()
    with installed(cuda=cuda):
        block = Device().host_block(HUGE_BYTES)
        assert np.asarray(block).nbytes == HUGE_BYTES
        assert bool(cuda.calls["cuMemHostRegister"]) == locked
        del block
    assert not cuda.live["pinned memory"]
