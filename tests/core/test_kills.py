"""Killed between any two of its file operations, a piece of work leaves what was there before, or what comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onepass.artifacts import replacing
from tests.kills import Work, kill_everywhere

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork, and /proc")

_ROOT = Path(__file__).parents[2]
_NAMES = (
    "save", "convert", "build", "cache", "damaged cache", "npz", "json", "folder", "run", "compare", "batch", "csv",
    "jsonl", "parquet", "picture", "video", "recording", "fetch", "download",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int | str]:
    """How many operations each case has, or what went wrong: all in one process, which imports everything once."""
    pytest.importorskip("av")
    pytest.importorskip("pyarrow")
    words = [sys.executable, "-m", "tests.kill_cases", str(tmp_path_factory.mktemp("kills"))]
    paths = os.pathsep.join(filter(None, (str(_ROOT / "src"), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        words, cwd=_ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, int | str] = json.loads(done.stdout.splitlines()[-1])
    assert set(result) == set(_NAMES)
    return result


@pytest.mark.parametrize("name", _NAMES)
def test_the_old_or_the_new_is_whole(found: dict[str, int | str], name: str) -> None:
    """After a kill before each operation on a file, a user reads the old or the new, and a second try succeeds."""
    operations = found[name]
    assert isinstance(operations, int), operations
    assert operations >= 5


# ---- the mechanism itself can fail -----------------------------------------------------------------------------------


def _read(folder: Path) -> Any:
    return [path.read_text() for path in sorted(folder.glob("[ab]"))]


def _old(folder: Path) -> None:
    (folder / "a").write_text("old a")
    (folder / "b").write_text("old b")


def _in_place(folder: Path) -> None:
    (folder / "a").write_text("new a")
    (folder / "b").write_text("new b")


def _one_after_the_other(folder: Path) -> None:
    for name in "ab":
        with replacing(folder / name) as temporary:
            temporary.write_text(f"new {name}")


def _not_on_the_disk(folder: Path) -> None:
    (folder / "c").write_text("new a")
    (folder / "c").rename(folder / "a")


def _not_twice(folder: Path) -> None:
    (folder / "once").mkdir()
    (folder / "a").write_text("new")


def _crash(folder: Path) -> None:
    raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("work", "said"),
    [
        (_in_place, "neither the old nor the new: "),
        (_one_after_the_other, r"neither the old nor the new: \['new a', 'old b'\]"),
        (_not_on_the_disk, "the work failed by itself: status 1"),
        (_not_twice, "the work failed by itself: status 1"),
        (_crash, "the work failed by itself: status 1"),
        (lambda folder: None, "the work changes nothing"),
    ],
    ids=["in place", "one after the other", "not on the disk", "not twice", "crash", "nothing"],
)
def test_what_is_not_safe_is_found(tmp_path: Path, work: Any, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Writing in place, one file after the other, a rename before fsync, a try that bars the next: each is found."""
    with pytest.raises(AssertionError, match=said):
        kill_everywhere(Work(_old, work, _read), tmp_path)
