"""The sessions of this process, for what happens to all of them: its end, a fork, and runs that have to stop."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

_LAST_CALLS_S, _STOPPED_CALLS_S = 1.0, 5.0


class Living(Protocol):
    """What a session does for them, and shows to nobody else."""

    def _hold_threads(self, seconds: float) -> bool: ...

    def _after_fork(self) -> None: ...

    def stop(self, reason: str) -> None:
        """End the runs under way."""


_sessions: weakref.WeakSet[Living] = weakref.WeakSet()


def register(session: Living) -> None:
    """Count a session among those of this process, as long as it is there."""
    _sessions.add(session)


def stop_runs(reason: str) -> None:
    """End the runs under way of every session, and refuse further ones, where the backend can; for programs.

    Args:
        reason: What their errors say.
    """
    for session in list(_sessions):
        session.stop(reason)


def _at_exit() -> None:
    """Let calls of daemon threads end: Python stops these at once, which aborts the process in the middle of C++."""
    sessions = list(_sessions)
    still = [each for each in sessions if not each._hold_threads(_LAST_CALLS_S)]  # noqa: SLF001 - see Living
    for session in still:
        session.stop("the process ends")
    for session in still:
        session._hold_threads(_STOPPED_CALLS_S)  # noqa: SLF001


def _after_fork() -> None:
    for session in list(_sessions):
        session._after_fork()  # noqa: SLF001


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
