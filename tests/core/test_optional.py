"""Optional libraries: a missing one is named, with the command that installs it."""

import sys
from pathlib import Path

import pytest

from onepass._errors import MissingExtraError
from onepass._optional import optional


def test_a_missing_library() -> None:
    """The error names the package to install, not the module of ours that needs it."""
    with pytest.raises(
        MissingExtraError, match=r"^Reading x needs the Python module 'no_such', which is not installed"
    ):
        optional("no_such.inner", extra="gaze", purpose="Reading x")


def test_a_library_that_is_missing_further_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an installed module lacks one of its own requirements, the error names the requirement."""
    (tmp_path / "needs_more.py").write_text("import no_such")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"'no_such', which is not installed. Install it with: pip install "):
        optional("needs_more", extra="gaze", purpose="Reading x")


def test_a_broken_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is installed but does not load is not called missing; its own reason is given."""
    (tmp_path / "broken_one.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"installed but cannot be imported \(libGL\.so\.1: cannot open"):
        optional("broken_one", extra="gaze", purpose="Reading x")
    assert "broken_one" not in sys.modules
