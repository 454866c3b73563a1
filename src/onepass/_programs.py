"""Other programs, run to their end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


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
