"""Other programs, run to their end; programs of our own, which end with the one that started them; their cores."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread


def failure_of(command: Sequence[str], *, scratch: Path | None = None) -> str | None:
    """Run a program without input or output of ours; return the last line of what it says of its failure.

    Args:
        command: The program and its arguments.
        scratch: Where it is to put its temporary files.

    Returns:
        None if it did not fail.
    """
    variables = {} if scratch is None else dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if not done.returncode:
        return None
    return ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]


def ending_text(status: int) -> str:
    """Say how a process ended, by the status that Python gives it."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


@contextmanager
def lifeline() -> Iterator[int]:
    """Yield a standard input for a process that is to end with this one, whatever this one ends by."""
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(read)
        os.close(write)


def end_with_starter(tidy: Callable[[], None] | None = None) -> None:
    """Let this process end when the one that started it is gone: its end of our standard input closes then.

    Args:
        tidy: What is done first.
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
