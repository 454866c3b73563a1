"""``onepass doctor`` as a person meets it."""

import json

import pytest

import onepass.cli.doctor
from onepass._packages import install_command
from onepass.doctor import Facts
from tests.cli.shell import Shell

_WELL = Facts(python=(3, 11, 7), providers=("CPUExecutionProvider",), packages={"onnxruntime": "1.32.0"})


def test_table(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is a line; a usable machine is status 0."""
    monkeypatch.setattr(onepass.cli.doctor, "gather", lambda: _WELL)
    text = shell("doctor")
    assert "ok       Python" in text
    assert f"\nTo fix pictures:\n  {install_command('gaze')}\n" in text  # on one line, to be pasted
    assert text.endswith("0 errors, 3 warnings\n")


def test_an_error_is_status_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something installed that does not work is status 1, and --json has findings and facts."""
    monkeypatch.setattr(onepass.cli.doctor, "gather", lambda: Facts(python=(3, 9, 0)))
    status, text, err = shell.run("doctor", "--json")
    facts = json.loads(text)
    assert (status, err) == (1, "")
    assert facts["findings"][0]["level"] == "error"
    assert facts["facts"]["python"] == [3, 9, 0]
