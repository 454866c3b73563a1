"""Files that are programs: the flag with which a user lets them run, and the question where there is a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from onepass._errors import OnepassError
from onepass.formats import PROGRAMS, format_of
from onepass.opening import ModelChoice

trust_option = click.option(
    "--trust", is_flag=True, help="Run files that are programs, as those of TensorFlow, Keras and PyTorch are."
)


def chosen(word: str, *, trust: bool) -> ModelChoice:
    """Read ``MODEL`` or ``MODEL@OPTION,…``, with the user's word on whether it may run if it is a program.

    Raises:
        InputError: What follows the ``@`` is no option.
    """
    choice = ModelChoice.parse(word)
    return replace(choice, trust=is_trusted(choice.unopened, trust=trust))


def is_trusted(model: str | os.PathLike[str], *, trust: bool) -> bool:
    """Return whether a program may run: by the flag, or by what the user answers where there is a terminal.

    What is no program, or no model at all, is left to whoever opens it.
    """
    if trust or not _is_terminal():
        return trust
    try:
        kind = format_of(model)
    except (OnepassError, OSError):
        return False
    return kind in PROGRAMS and click.confirm(
        f"{click.format_filename(model)} is {kind.value}; opening such a file executes the code in it. Run it?",
        err=True,
    )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
