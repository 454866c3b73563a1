"""Run the command line as a person would, and keep what it printed."""

import pytest

from onepass.cli import main


class Shell:
    """Runs the command in this process and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> str:
        """Return standard output of a command that must succeed."""
        status, out, err = self.run(*words)
        assert (status, err) == (0, "")
        return out

    def fails(self, *words: object, status: int = 2) -> str:
        """Return the message of a command that must fail."""
        code, out, err = self.run(*words)
        assert (code, out) == (status, "")
        return err

    def run(self, *words: object) -> tuple[int, str, str]:
        """Return exit status, standard output and standard error."""
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        out, err = self._capsys.readouterr()
        return int(caught.value.code or 0), out, err
