"""The command line: one thin module per command, imported when the command is used."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from typing import TextIO

import click

from onepass import OnepassError, OnepassWarning, __version__
from onepass._interrupts import leaving_at_once
from onepass._printable import indented, printable
from onepass.cli._completion import complete_files, completion
from onepass.cli._group import Group
from onepass.cli._usage import usage_line
from onepass.cli._words import command_path, in_words_of

_FAILED = 2
_INTERRUPTED = 128 + signal.SIGINT
_BROKEN_PIPE = 128 + 13  # as shells report SIGPIPE, also on systems that have no such signal

# Name, module, first line of the help: here, so that `onepass --help` imports no command.
_COMMANDS = {
    "inspect": ("onepass.cli.inspect", "Show a model's inputs and outputs: names, dtypes, shapes."),
    "convert": ("onepass.cli.convert", "Convert a network of another framework to ONNX."),
    "build": ("onepass.cli.build", "Build a TensorRT engine from an ONNX model."),
    "refit": ("onepass.cli.refit", "Replace the weights of an engine."),
    "run": ("onepass.cli.run", "Run a model once, and show or save every output."),
    "batch": ("onepass.cli.batch", "Run a model on a folder or a table, into Parquet."),
    "compare": ("onepass.cli.compare", "Run two models on the same inputs and compare every output."),
    "bench": ("onepass.cli.bench", "Measure models: latency, throughput, cold start."),
    "serve": ("onepass.cli.serve", "Serve models over HTTP and gRPC (Open Inference Protocol)."),
    "export": ("onepass.cli.export", "Export a model for other servers: a repository for Triton."),
    "doctor": ("onepass.cli.doctor", "Check this machine and suggest fixes."),
    "cache": ("onepass.cli.cache", "Show or empty the engine cache."),
    "gaze": ("onepass.cli.gaze", "Find gaze in pictures, videos, cameras and streams."),
    "demo": ("onepass.cli.demo", "Find the gaze in a picture with the bundled network."),
}


class _Commands(Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with leaving_at_once():
            module = import_module(_COMMANDS[cmd_name][0])
        command: click.Command = module.command
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(_debug_option())
            complete_files(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _debug_option() -> click.Option:
    """Return the flag that every command has; `main` evaluates it, because all errors end there."""
    return click.Option(["--debug"], is_flag=True, expose_value=False, help="On an error, also print the traceback.")


@click.command(
    cls=_Commands,
    params=[_debug_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="onepass", message="%(prog)s %(version)s")
def cli() -> None:
    """Every output of a network, by name, from one pass."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 on success, 1 if a check failed, 2 on an error, 130 on Ctrl-C.

    Args:
        arguments: The words after the program's name. The default is the command line of this process.
    """
    own = arguments is None
    if own:
        _be_a_good_program()
    try:
        status = _status_of(sys.argv[1:] if arguments is None else arguments)
        if own:
            status = _flushed(status)
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        _discard(sys.stdout)
        status = _BROKEN_PIPE
    sys.exit(status)


def _status_of(arguments: list[str]) -> int:
    """Run a command, print what went wrong, and return the exit status."""
    try:
        return _run(arguments)
    except (click.Abort, KeyboardInterrupt):
        _say("onepass: interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        debug = traceback.format_exc() if "--debug" in arguments else ""
        _say(debug + indented(_message(error, arguments)))
        return _FAILED


def _run(arguments: list[str]) -> int:
    if (asked := os.environ.get("_ONEPASS_COMPLETE")) is not None:
        return completion(cli, asked)
    try:
        with cli.make_context("onepass", list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:  # from ctx.exit
        return end.exit_code
    return 0


def _message(error: Exception, arguments: list[str]) -> str:
    if isinstance(error, click.UsageError):
        return usage_line(error, command_path(arguments, cli, program="onepass"))
    if isinstance(error, click.ClickException):
        return f"onepass: {error.format_message()}"
    if isinstance(error, OnepassError):
        cause = error.__cause__
        foreign = "" if cause is None or isinstance(cause, OnepassError) else str(cause)
        return f"onepass: {in_words_of(str(error), arguments, cli, foreign=foreign)}"
    if isinstance(error, OSError):
        return f"onepass: {_told(error)}"
    if isinstance(error, MemoryError):
        return f"onepass: not enough memory: {error}"
    return f"onepass: {type(error).__name__}: {error}. This is a bug in onepass; --debug shows the traceback"


def _be_a_good_program() -> None:
    """Print characters that the terminal lacks as question marks, and library warnings as lines of the program."""
    _hold_closed_descriptors()
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _hold_closed_descriptors() -> None:
    """Occupy closed standard streams, or the next file would get such a descriptor, and library messages with it.

    Output to a closed standard output is an error, as on a full disk.
    """
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)


def _say(text: str) -> None:
    """Print to standard error; where that is impossible, the exit status still tells."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        raise
    except OSError:
        _discard(sys.stderr)


def _flushed(status: int) -> int:
    """Flush standard output here, where an error can be reported, and not at the interpreter's exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard(sys.stdout)
        if status != _FAILED:  # the error of a command that failed is printed already
            _say(f"onepass: standard output: {_told(error)}")
        return _FAILED
    return status


def _discard(stream: TextIO) -> None:
    """Discard the rest of a standard stream: the interpreter flushes it again at its exit."""
    with suppress(AttributeError, OSError, ValueError):  # the stream is missing, or not a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _told(error: OSError) -> str:
    """Return the system's message, after the name of the file."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    own = issubclass(category, OnepassWarning)
    click.echo(printable(f"onepass: {message}" if own else text.rstrip(), lines=True), err=True, file=file)
