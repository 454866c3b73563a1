"""The library's messages in CLI terms: Python's ``verify=False`` becomes ``--no-verify``."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

# A tuple, possibly nested; a mapping of tuples, a list, a quoted text, or a word.
_TUPLE = r"\((?:[^()]|\([^()]*\))*\)"
_VALUE = rf"{_TUPLE}|\{{(?:[^{{}}()]|{_TUPLE})*\}}|\[[^\]]*\]|'[^']*'|\"[^\"]*\"|…|[\w+-]+(?:\.\w+)*"
# A call, or a named parameter, between spaces, brackets or punctuation: anything else is user text, such as a path.
_CALL = rf"(?<![\w.])(?P<callee>\w[\w.]*)(?P<words>{_TUPLE})"
_GIVEN = rf"(?<![^\s(`])(?P<name>[a-z]\w*)=(?!=)(?P<value>{_VALUE})?(?=[\s,;:)`]|\.?$|\.\s)"
_CALL_OR_GIVEN = re.compile(f"{_CALL}|{_GIVEN}")
# Unit suffixes of parameter names, which options do not have.
_UNITS = ("_s", "_bytes")


def in_words_of(message: str, words: Sequence[str], root: click.Group, *, foreign: str = "") -> str:
    """Return a message of the library with parameters replaced by options.

    ``name=`` and ``name=value`` become the option of that name in the command that ran. ``onepass.build(name=value)``
    becomes the command of that name with its option. Everything else stays unchanged.

    Args:
        message: The library's message.
        words: The command line as typed, after the program's name.
        root: The group of all commands.
        foreign: Text from another library that the message may contain. It stays unchanged, as do the words that the
            user typed.
    """
    commands = _commands(words, root)
    default = commands[-1].get_command(click.Context(root), "") if isinstance(commands[-1], click.Group) else None
    options = list(_options([*commands, *([] if default is None else [default])]))
    typed = {part for word in words for part in (word, *word.split("=", 1), *word.split("@", 1)) if "=" in part}
    theirs = [text for text in (foreign, *sorted(typed, key=len, reverse=True)) if text]

    def rewritten(found: re.Match[str]) -> str:
        return _called(found, root) if found["callee"] else _option_for(found, options)

    if not theirs:
        return _CALL_OR_GIVEN.sub(rewritten, message)
    parts = re.split("(" + "|".join(map(re.escape, theirs)) + ")", message)
    return "".join(part if index % 2 else _CALL_OR_GIVEN.sub(rewritten, part) for index, part in enumerate(parts))


def _called(call: re.Match[str], root: click.Group) -> str:
    """Return the command that is equivalent to a call; the call itself if there is none."""
    package, _, name = call["callee"].partition(".")
    command = root.get_command(click.Context(root), name) if package == "onepass" else None
    given = list(re.finditer(_GIVEN, call["words"]))
    if command is None or not given or re.sub(_GIVEN, "", call["words"]).strip("(), "):
        return call[0]
    options = list(_options([command]))
    said = [_option_for(each, options) for each in given]
    known = all(new != each[0] for new, each in zip(said, given, strict=True))
    return " ".join(["onepass", name, *said]) if known else call[0]


def command_path(words: Iterable[str], root: click.Group, *, program: str) -> str:
    """Return the name of a command, starting with the program: ``onepass export triton``."""
    return " ".join([program, *(each.name or "" for each in _commands(words, root)[1:])])


def _commands(words: Iterable[str], root: click.Group) -> list[click.Command]:
    """Return the command that the words name, preceded by its groups."""
    found: list[click.Command] = [root]
    for word in words:
        group = found[-1]
        if not isinstance(group, click.Group):
            break
        if not word.startswith("-"):
            inner = group.get_command(click.Context(group), word)
            found += [inner] if inner is not None else []
    return found


def _options(commands: Iterable[click.Command]) -> Iterator[click.Option]:
    return (each for command in commands for each in command.params if isinstance(each, click.Option))


def _option_for(given: re.Match[str], options: Sequence[click.Option]) -> str:
    name, value = given["name"], given["value"] or ""
    short = next((name.removesuffix(unit) for unit in _UNITS if name.endswith(unit)), name)
    for wanted in (name, short, *(f"{name}{unit}" for unit in _UNITS)):
        for option in options:
            if option.name == wanted:
                return _written(option, value)
            if option.name == f"no_{wanted}" and value == "False":
                return _word(option.opts)
    return given[0]


def _written(option: click.Option, value: str) -> str:
    """Return an option with its value, or with its metavar if the value cannot be typed on a command line."""
    if option.is_flag:
        return _word(option.secondary_opts if value == "False" and option.secondary_opts else option.opts)
    if value in ("", "…"):
        return _word(option.opts)
    whole = option.metavar == "NAME=SHAPE"
    plain = value.strip("'\"") if value[0] not in "{([" else _range_text(value, whole=whole) or option.metavar or ""
    return f"{_word(option.opts)} {plain}".rstrip()


def _range_text(value: str, *, whole: bool) -> str:
    """Return ranges of sizes in CLI syntax, ``x=1x4:8x4:64x4``; empty if the value is not a range.

    Three numbers are minimum, optimum and maximum, unless they are a `whole` shape.
    """
    try:
        found = ast.literal_eval(value)
        if isinstance(found, dict):
            return ",".join(f"{name}={_numbers_text(numbers, whole=whole)}" for name, numbers in found.items())
        return _numbers_text(found, whole=whole)
    except (ValueError, SyntaxError, TypeError, IndexError):
        return ""


def _numbers_text(numbers: int | Sequence[Any], *, whole: bool) -> str:
    if isinstance(numbers, int):
        return str(numbers)
    if isinstance(numbers[0], int):
        return (":" if len(numbers) == 3 and not whole else "x").join(str(operator.index(each)) for each in numbers)
    return ":".join("x".join(str(operator.index(size)) for size in shape) for shape in numbers)


def _word(words: Sequence[str]) -> str:
    """Return the long form of an option."""
    return next((word for word in words if word.startswith("--")), words[0])
