"""Progress of downloads: a bar on a terminal, one line elsewhere."""

import io

import pytest
from rich.console import Console

from onepass.cli import _progress


def test_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A log gets one line for each download, with its size if that is known, and none for files that are here."""
    for total in (6_900_000, None):
        with _progress.download_bar("face\x1b[2J") as told:
            for here in (0, 1000, 2000):
                told(here, total)
    with _progress.download_bar("cached"):
        pass
    assert capsys.readouterr() == ("", "downloading face\\x1b[2J, 6.9 MB\ndownloading face\\x1b[2J\n")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a bar with the bytes received, and the bar goes away at the end."""
    file = io.StringIO()
    screen = Console(file=file, force_terminal=True, width=80)
    monkeypatch.setattr(_progress, "console", lambda **_: screen)
    with _progress.download_bar("face") as told:
        told(3_000_000, 6_000_000)
    shown = file.getvalue()
    assert "face" in shown
    assert "3.0/6.0 MB" in shown
    assert "downloading" not in shown
    assert "\x1b[2K" in shown  # the line is cleared
