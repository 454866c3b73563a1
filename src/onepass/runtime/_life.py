"""All sessions of this process, for process exit, forks, and stopping all runs."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

_LAST_CALLS_S, _STOPPED_CALLS_S = 1.0, 5.0


class Living(Protocol):
    """The part of a session that only this module uses."""

    def _hold_threads(self, seconds: float) -> bool: ...

    def _after_fork(self) -> None: ...

    def stop(self, reason: str) -> None:
        """Stop running calls."""


_sessions: weakref.WeakSet[Living] = weakref.WeakSet()


def register(session: Living) -> None:
    """Add a session, as long as it exists."""
    _sessions.add(session)


def stop_runs(reason: str) -> None:
    """Stop the running calls of all sessions and reject further ones, if the backend supports it; for programs.

    Args:
        reason: Message of their errors.
    """
    for session in list(_sessions):
        session.stop(reason)


def _at_exit() -> None:
    """Wait for calls in daemon threads: Python would end the threads within C++ code, which aborts the process."""
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
