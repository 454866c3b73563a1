"""Run other programs to completion; child processes that end with their parent; usable cores."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread


def failure_of(command: Sequence[str], *, scratch: Path | None = None) -> str | None:
    """Run a program without input and with captured output; return the last line that it printed if it failed.

    Args:
        command: The program and its arguments.
        scratch: Folder for the program's temporary files.

    Returns:
        None if the program succeeded.
    """
    variables = {} if scratch is None else dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if not done.returncode:
        return None
    return ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]


def ending_text(status: int) -> str:
    """Describe how a process ended, given its return code in Python."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


@contextmanager
def lifeline() -> Iterator[int]:
    """Yield a standard input for a child process that must end with this process, however this process ends."""
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(read)
        os.close(write)


def end_with_starter(tidy: Callable[[], None] | None = None) -> None:
    """End this process when its parent is gone, which closes our standard input.

    Args:
        tidy: Called before this process ends.
    """

    def wait() -> None:
        os.read(0, 1)
        if tidy is not None:
            tidy()
        os._exit(1)

    Thread(target=wait, name="onepass-lifeline", daemon=True).start()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
