"""The library's messages in a command's words: what Python calls ``verify=False`` is ``--no-verify`` there."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

# A tuple, with tuples in it perhaps; a mapping of such, a list, a text in quotes, or a word.
_TUPLE = r"\((?:[^()]|\([^()]*\))*\)"
_VALUE = rf"{_TUPLE}|\{{(?:[^{{}}()]|{_TUPLE})*\}}|\[[^\]]*\]|'[^']*'|\"[^\"]*\"|…|[\w+-]+(?:\.\w+)*"
# A call, or a parameter that is named: between spaces, brackets or punctuation, since anything else is what the user
# wrote, as in a path.
_CALL = rf"(?<![\w.])(?P<callee>\w[\w.]*)(?P<words>{_TUPLE})"
_GIVEN = rf"(?<![^\s(`])(?P<name>[a-z]\w*)=(?!=)(?P<value>{_VALUE})?(?=[\s,;:)`]|\.?$|\.\s)"
_CALL_OR_GIVEN = re.compile(f"{_CALL}|{_GIVEN}")
# What parameters that are quantities have behind their names, and options have not.
_UNITS = ("_s", "_bytes")


def in_words_of(message: str, words: Sequence[str], root: click.Group, *, foreign: str = "") -> str:
    """Return a message of the library with parameters called by their options.

    ``name=`` and ``name=value`` become the option that a parameter of that name has in the command that ran, and
    ``onepass.build(name=value)`` the command of that name with its option; anything else stays as it is.

    Args:
        message: What the library says.
        words: The command's words as they were typed, after the program's name.
        root: The group that all commands are in.
        foreign: What another library said, of which the message may hold the text. It stays as it is, and so does
            whatever the user typed.
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
    """Return the command that does what a call does; the call itself where no command does just that."""
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
    """Return the words that name a command, from the program on: ``onepass export triton``."""
    return " ".join([program, *(each.name or "" for each in _commands(words, root)[1:])])


def _commands(words: Iterable[str], root: click.Group) -> list[click.Command]:
    """Return the command that words name, after the groups that it is in."""
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
    """Write an option with a value, or with what the command's help calls the value if no command could be given it."""
    if option.is_flag:
        return _word(option.secondary_opts if value == "False" and option.secondary_opts else option.opts)
    if value in ("", "…"):
        return _word(option.opts)
    whole = option.metavar == "NAME=SHAPE"
    plain = value.strip("'\"") if value[0] not in "{([" else _range_text(value, whole=whole) or option.metavar or ""
    return f"{_word(option.opts)} {plain}".rstrip()


def _range_text(value: str, *, whole: bool) -> str:
    """Write ranges of sizes as commands have them: ``x=1x4:8x4:64x4``; nothing for what is no range.

    Three numbers are the least, the best and the greatest, unless they are a `whole` shape.
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
