"""Code that coverage does not watch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwatched() -> Iterator[None]:
    """Let signal handlers raise in the block: what strikes in coverage's own code leaves a lock of it taken."""
    coverage = sys.modules.get("coverage")
    watching = None if coverage is None else coverage.Coverage.current()
    if watching is None:
        yield
        return
    watching.stop()
    try:
        yield
    finally:
        watching.start()
