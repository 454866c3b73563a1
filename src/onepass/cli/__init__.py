"""The command line: one thin module a command, imported when the command is used."""

from __future__ import annotations

import io
import signal
import sys
import traceback
import warnings
from importlib import import_module
from typing import TextIO

import click

from onepass import OnepassError, OnepassWarning, __version__
from onepass._interrupts import leaving_at_once
from onepass._printable import indented, printable
from onepass.cli._words import in_words_of

# Name, module, first line of the help: written here so that `onepass --help` imports no command.
_COMMANDS = {
    "inspect": ("onepass.cli.inspect", "Show a model's inputs and outputs: names, dtypes, shapes."),
    "convert": ("onepass.cli.convert", "Make an ONNX model of a network of another framework."),
    "build": ("onepass.cli.build", "Build a TensorRT engine from an ONNX model."),
    "refit": ("onepass.cli.refit", "Put the weights of a model into an engine."),
    "run": ("onepass.cli.run", "Run a model once and show or save every output."),
    "batch": ("onepass.cli.batch", "Take a folder or a table through a model, into Parquet."),
    "compare": ("onepass.cli.compare", "Run two models on the same inputs and compare every output."),
    "bench": ("onepass.cli.bench", "Measure how fast models are here: latency, throughput, cold start."),
    "serve": ("onepass.cli.serve", "Serve models over HTTP and gRPC (Open Inference Protocol)."),
    "export": ("onepass.cli.export", "Write a model as other servers take it: a repository for Triton."),
    "doctor": ("onepass.cli.doctor", "Say what this machine can do, and what mends the rest."),
    "cache": ("onepass.cli.cache", "Show or empty the cache of engines."),
    "gaze": ("onepass.cli.gaze", "Find gaze in pictures, videos, cameras and streams."),
    "demo": ("onepass.cli.demo", "Find the gaze in a picture with the bundled network."),
}


class _Commands(click.Group):
    """A group that imports a command's module only when that command is asked for."""

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
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _debug_option() -> click.Option:
    """The flag of every command; `main` acts on it, since that is where errors end."""
    return click.Option(["--debug"], is_flag=True, expose_value=False, help="On an error, show the traceback too.")


@click.command(
    cls=_Commands,
    params=[_debug_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="onepass", message="%(prog)s %(version)s")
def cli() -> None:
    """Every output of a network, by name, from one pass."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 when all went well, 1 when a check failed, 2 on an error, 130 when interrupted.

    Args:
        arguments: Words after the program's name; those of this process by default.
    """
    if arguments is None:
        arguments = sys.argv[1:]
        _be_a_good_program()
    debug = "--debug" in arguments
    try:
        result = cli.main(arguments, prog_name="onepass", standalone_mode=False)
        status = result if isinstance(result, int) else 0  # what a command gave to ctx.exit
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        click.echo(printable(text.getvalue(), lines=True), err=True, nl=False)
        status = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("onepass: interrupted", err=True)
        status = 130
    except MemoryError as error:
        _explain(f"not enough memory: {error}", debug=debug)
        status = 2
    except OnepassError as error:
        cause = error.__cause__
        foreign = "" if cause is None or isinstance(cause, OnepassError) else str(cause)
        said = in_words_of(str(error), arguments, cli, foreign=foreign)
        _explain(said, debug=debug)
        status = 2
    except OSError as error:
        _explain(str(error), debug=debug)
        status = 2
    except Exception as error:
        _explain(f"{type(error).__name__}: {error}. This is a fault in onepass; --debug shows where", debug=debug)
        status = 2
    sys.exit(status)


def _be_a_good_program() -> None:
    """End quietly when the reader of our output (`head`, say) has enough, and print what the terminal cannot show.

    What the library warns of is a line like any other of the program's.
    """
    warnings.showwarning = _show_warning
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


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


def _explain(message: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    click.echo(f"onepass: {indented(message)}", err=True)
