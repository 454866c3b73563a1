"""A group with a command that runs where no other is named."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from onepass.cli._default_command import DefaultCommand, DefaultGroup
from onepass.cli._usage import usage_line


@click.command(cls=DefaultCommand)
@click.argument("source", type=click.Path())
@click.option("-n", "--number", type=int, default=1, help="How many.")
def _work(source: str, number: int) -> None:
    """Work on SOURCE."""
    click.echo(f"{source} {number}")


group = DefaultGroup("tool", default=_work, params=[click.Option(["--debug"], is_flag=True, expose_value=False)])


@group.command("list")
@click.argument("what", default="all")
def _list(what: str) -> None:
    """List things."""
    click.echo(f"list {what}")


def run(*words: str) -> tuple[int, str]:
    """Run the group and return its status and what it printed."""
    result = CliRunner().invoke(group, list(words), prog_name="tool")
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["a.mp4"], "a.mp4 1\n"),
        (["a.mp4", "-n", "3"], "a.mp4 3\n"),
        (["-n", "3", "a.mp4"], "a.mp4 3\n"),
        (["--debug", "a.mp4"], "a.mp4 1\n"),
        (["./list"], "./list 1\n"),
        (["list"], "list all\n"),
        (["list", "more"], "list more\n"),
    ],
)
def test_the_first_word_decides(words: list[str], printed: str) -> None:
    """A command's name is that command; all else is the default one's, options before or after."""
    assert run(*words) == (0, printed)


def test_the_help_is_that_of_the_default_command() -> None:
    """The help shows its usage, text and options, those of the group too, and the other commands."""
    status, text = run("--help")
    assert status == 0
    assert text.startswith("Usage: tool [OPTIONS] SOURCE\n       tool COMMAND ...\n\n  Work on SOURCE.\n")
    for line in ("-n, --number", "--debug", "  list  List things."):
        assert line in text


def test_mistakes_speak_of_the_group() -> None:
    """A wrong call of the default command is told under the name that the user wrote."""
    for words in ([], ["a", "b"], ["a", "--wrong"], ["a", "-n", "x"]):
        with pytest.raises(click.UsageError) as caught:
            group.main(list(words), prog_name="tool", standalone_mode=False)
        assert usage_line(caught.value, "tool").startswith("tool: ")
        assert usage_line(caught.value, "tool").endswith(" See tool --help")


def completed(*words: str) -> set[tuple[str, str]]:
    """Return kind and value of what a shell offers for the last word."""
    offered = ShellComplete(group, {}, "tool", "_TOOL_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return {(item.type, item.value) for item in offered}


def test_completion() -> None:
    """The first word may be a command or one for the default command; options are the default command's."""
    assert completed("") == {("file", ""), ("plain", "list")}
    assert ("plain", "list") in completed("l")
    assert {("plain", "--number"), ("plain", "--debug")} <= completed("--")
    assert completed("a.mp4", "--nu") == {("plain", "--number")}
