"""Files that are programs: the ``--trust`` flag, and the question on a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from onepass._errors import OnepassError
from onepass.formats import PROGRAMS, format_of
from onepass.opening import ModelChoice

trust_option = click.option(
    "--trust", is_flag=True, help="Open files of TensorFlow, Keras and PyTorch, which executes their code."
)


def chosen(word: str, *, trust: bool) -> ModelChoice:
    """Read ``MODEL`` or ``MODEL@OPTION,…``, and whether the user trusts it if it is a program.

    Raises:
        InputError: The text after the ``@`` is not an option.
    """
    choice = ModelChoice.parse(word)
    return replace(choice, trust=is_trusted(choice.unopened, trust=trust))


def is_trusted(model: str | os.PathLike[str], *, trust: bool) -> bool:
    """Return whether a file that is a program may be opened: by the flag, or by the user's answer on a terminal.

    Other files, and files that are not models, are left to the code that opens them.
    """
    if trust or not _is_terminal():
        return trust
    try:
        kind = format_of(model)
    except (OnepassError, OSError):
        return False
    return kind in PROGRAMS and click.confirm(
        f"{click.format_filename(model)} is {kind.value}; opening such a file executes the code in it. Open it?",
        err=True,
    )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
