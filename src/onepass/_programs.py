"""Other programs, run to their end."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def failure_of(command: Sequence[str]) -> str | None:
    """Run a program without input or output of ours; return the last line of what it says of its failure.

    Returns:
        None if it did not fail.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    return ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1]
