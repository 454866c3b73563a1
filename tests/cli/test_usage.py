"""Wrong words on the command line: one line, the word that was probably meant, and where the help is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.zoo import BY_NAME

_SCRIPT = Path(sys.executable).with_name("onepass")


@pytest.mark.parametrize("words", [[], ["cache"], ["export"], ["gaze", "models"], ["gaze", "weights"]], ids=" ".join)
def test_a_bare_group_prints_its_help(shell: Shell, words: list[str]) -> None:
    """`onepass`, and each group of commands, is asked for its help by calling it; that is no error."""
    text = shell(*words)
    assert text == shell(*words, "--help")
    assert "Commands:" in text


@pytest.mark.parametrize(
    ("words", "command", "text"),
    [
        (["frobnicate"], "onepass", "unknown command 'frobnicate'."),
        (["inspct", "m.onnx"], "onepass", "unknown command 'inspct'; did you mean 'inspect'?"),
        (["--verson"], "onepass", "unknown option '--verson'; did you mean '--version'?"),
        (["\x1b[2J"], "onepass", r"unknown command '\x1b[2J'."),
        (["run", "m", "--outptus", "y"], "onepass run", "unknown option '--outptus'; did you mean '--outputs'?"),
        (["run"], "onepass run", "missing argument MODEL."),
        (["compare", "m.onnx"], "onepass compare", "missing argument SECOND."),
        (["inspect", "a", "b"], "onepass inspect", "got unexpected extra argument (b)."),
        (["run", "a", "b"], "onepass run",
         "got unexpected extra argument (b); input files need -i, as in -i NAME=FILE."),
        (["run", "m.onnx", "--runs", "3"], "onepass run", "unknown option '--runs'."),
        (["export", "m.onnx"], "onepass export", "unknown command 'm.onnx'; expected triton."),
        (["run", "m.onnx", "--seed"], "onepass run", "option '--seed' requires an argument."),
        (["run", "m.onnx", "--seed", "x"], "onepass run", "--seed 'x' is not a whole number."),
        (["run", "m.onnx", "--seed", "-1"], "onepass run", "--seed -1 is not in the range x>=0."),
        (["bench", "m.onnx", "--seconds", "x"], "onepass bench", "--seconds 'x' is not a number."),
        (["run", "m.onnx", "--size", "N:3"], "onepass run", "--size 'N:3': expected NAME=SIZE, such as N=8."),
        (["run", "m", "--optimize", "bsic"], "onepass run",
         "--optimize 'bsic' is not one of 'none', 'basic', 'all'; did you mean 'basic'?"),
        (["run", "m", "--optimize", "x"], "onepass run", "--optimize 'x' is not one of 'none', 'basic', 'all'."),
        (["export", "trition"], "onepass export", "unknown command 'trition'; did you mean 'triton'?"),
        (["export", "triton", "m.onnx"], "onepass export triton", "missing option --output."),
        (["gaze", "models", "fech"], "onepass gaze models", "unknown command 'fech'; did you mean 'fetch'?"),
        (["gaze", "a.mp4", "--finder", "cascade"], "onepass gaze",
         "--finder 'cascade' is not one of 'auto', 'mesh', 'cascades', 'dlib'; did you mean 'cascades'?"),
        (["gaze", "a.mp4", "--every"], "onepass gaze", "option '--every' requires an argument."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_usage_errors(shell: Shell, words: list[str], command: str, text: str) -> None:
    """Each is one line in the style of all errors, with status 2, and says where the help is."""
    assert shell.fails(*words) == f"{command}: {text} See {command} --help\n"


def test_a_file_in_place_of_a_command(shell: Shell, tmp_path: Path) -> None:
    """Who names a model only is told which command looks into it."""
    (tmp_path / "m.onnx").touch()
    assert f"use onepass inspect {tmp_path / 'm.onnx'}. See onepass --help\n" in shell.fails(tmp_path / "m.onnx")


# ---- completion by shells ----------------------------------------------------------------------------------------


def _offered(*words: str) -> list[str]:
    """Return what bash is told, as `kind,value`, for the last word."""
    asked = {"COMP_WORDS": " ".join(["onepass", *words]), "COMP_CWORD": str(len(words))}
    environment = {**os.environ, **asked, "_ONEPASS_COMPLETE": "bash_complete"}
    return subprocess.run([_SCRIPT], env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ru"], ["plain,run"]),
        (["run", ""], ["file,"]),
        (["run", "m.onnx", "--optimi"], ["plain,--optimize"]),
        (["run", "m.onnx", "--optimize", ""], ["plain,none", "plain,basic", "plain,all"]),
        (["compare", "a.onnx", "b"], ["file,b"]),
        (["gaze", "mo"], ["file,mo", "plain,models"]),
        (["gaze", "models", ""], ["plain,fetch", "plain,list"]),
    ],
    ids=" ".join,
)
def test_words_for_the_shell(words: list[str], offered: list[str]) -> None:
    """Commands, options, choices and files are completed, also where a file is plain text to the command."""
    assert _offered(*words) == offered


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell(shell_name: str) -> None:
    """The lines of the documentation bring a script that the shell accepts."""
    environment = {**os.environ, "_ONEPASS_COMPLETE": f"{shell_name}_source"}
    result = subprocess.run([_SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert f"_ONEPASS_COMPLETE={shell_name}_complete" in result.stdout
    program = shutil.which(shell_name)
    if program is None:
        pytest.skip(f"{shell_name} is not installed; the script is there")
    subprocess.run([program, "-n"], input=result.stdout, text=True, check=True)


# ---- output that cannot be written -------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file with the three-headed model."""
    BY_NAME["three heads"].graph.save(tmp_path / "three.onnx")
    return tmp_path / "three.onnx"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
@pytest.mark.parametrize("words", ["inspect {}", "inspect {} --json", "run {} --random", "--help", "nonsense"])
def test_a_reader_that_has_enough(three: Path, words: str) -> None:
    """Piped into a program that reads nothing, a command ends quietly, also when its last words are written at exit."""
    command = f"'{_SCRIPT}' {words.format(three)} 2>&1 | true; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.strip() == "141"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("words", ["inspect {}", "inspect {} --json"])
def test_a_full_disk(three: Path, words: str) -> None:
    """Output that finds no room is an error of one line."""
    command = f"'{_SCRIPT}' {words.format(three)} > /dev/full"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.endswith("No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes descriptors")
def test_closed_output(three: Path) -> None:
    """Where standard output is closed, what cannot be printed is an error of one line."""
    command = f"'{_SCRIPT}' inspect {three} >&-"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.endswith("Bad file descriptor\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_errors_that_nobody_can_read(redirection: str) -> None:
    """An error has its exit status where standard error is closed or full, and nothing goes to standard output."""
    command = f"'{_SCRIPT}' inspect no-such-file.onnx {redirection}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (2, b"", b"")
