"""docs/coming.md, for who comes from trtexec: complete on the left, and true on the right."""

from __future__ import annotations

import re
from pathlib import Path

import click

from onepass.cli import cli

_PAGE = (Path(__file__).parents[2] / "docs" / "coming.md").read_text("utf-8")
_OPTIONS = Path(__file__).with_name("trtexec_options.txt").read_text("utf-8").split()
"""What ``trtexec --help`` of TensorRT 8.5 and 10.16 names."""
_WORD = re.compile(r"--[A-Za-z0-9][A-Za-z0-9-]*")


def _rows() -> list[tuple[str, str]]:
    section = _PAGE.partition("## trtexec")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [(left, right) for left, right in cells if not left.startswith(("---", " trtexec"))]


def test_every_option_of_trtexec_has_a_row() -> None:
    """Each is named on the left, and nothing else is, and the right says something of it."""
    named = [word for left, _ in _rows() for word in _WORD.findall(left)]
    assert sorted({*named}) == sorted(_OPTIONS)
    assert all(right.strip() for _, right in _rows())


def test_options_on_the_right_are_there() -> None:
    """What is recommended exists in one of our commands."""
    commands = [cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))]
    ours = {word for command in commands if command for each in command.params for word in each.opts}
    said = {word for _, right in _rows() for word in _WORD.findall(right.replace("trtexec --help", ""))}
    assert said - ours - {"--help"} == set()
