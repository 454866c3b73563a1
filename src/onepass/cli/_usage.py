"""Usage errors as one line, in the style of all other errors, with suggestions for mistyped words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

import click

# Messages about a value begin with the value: quoted, or a number.
_VALUE_FIRST = re.compile(r"['\"\d-]")
# click's names for its types, in plain words.
_CLICK_TYPE = re.compile(r"is not a valid (float|integer)( range)?$")
_TYPES = {"float": "is not a number", "integer": "is not a whole number"}
# click has no class for this error.
_EXTRA = re.compile(r"unexpected extra argument")
# click gives a wrong choice only in its message.
_WRONG_CHOICE = re.compile(r"(?P<quote>['\"])(?P<word>.*)(?P=quote) is not (?:one of )?['\"]")


def usage_line(error: click.UsageError, command: str) -> str:
    """Return the message of a usage error: ``onepass run: unknown option '--rndom'; did you mean '--random'? See …``.

    Args:
        error: The error, raised by click or by a command.
        command: The command that was called; used if the error has no context.
    """
    command = error.ctx.command_path if error.ctx is not None else command
    text = _text(error).rstrip(".")
    end = "" if text.endswith("?") else "."
    return f"{command}: {text}{end} See {command} --help"


def _text(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"unknown option {error.option_name!r}{did_you_mean(error.option_name, error.possibilities or ())}"
    if isinstance(error, click.MissingParameter):
        kind = error.param.param_type_name if error.param is not None else "parameter"
        return f"missing {kind} {_name(error)}"
    if isinstance(error, click.BadParameter):
        said = _VALUE_FIRST.match(error.message) is not None
        text = _CLICK_TYPE.sub(lambda found: _TYPES[found[1]], error.message.rstrip("."))
        return f"{_name(error)}{'' if said else ':'} {text}{_choice_meant(error)}"
    return error.message[:1].lower() + error.message[1:] + _input_meant(error)


def _input_meant(error: click.UsageError) -> str:
    """Say where input files belong: people put them behind the model."""
    inputs = error.ctx is not None and any("--input" in param.opts for param in error.ctx.command.params)
    return "; input files need -i, as in -i NAME=FILE" if inputs and _EXTRA.search(error.message) else ""


def _name(error: click.BadParameter) -> str:
    """Return the name of a parameter: the long form of an option, or the metavar of an argument."""
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    return "value" if error.param is None else error.param.get_error_hint(error.ctx).strip("'")


def _choice_meant(error: click.BadParameter) -> str:
    choices = error.param.type if error.param is not None else None
    wrong = _WRONG_CHOICE.match(error.message)
    if wrong is None or not isinstance(choices, click.Choice):
        return ""
    return did_you_mean(wrong["word"], map(str, choices.choices))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message; empty if no known word is similar."""
    bare = {each.lstrip("-"): each for each in known}  # dashes would make all options similar
    near = get_close_matches(word.lstrip("-"), bare, n=1)
    return f"; did you mean {bare[near[0]]!r}?" if near else ""
