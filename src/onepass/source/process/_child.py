"""The other end of `_parent`: one source, opened, exported and run by its framework, in a process of its own."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import traceback
from functools import partial
from pathlib import Path

from onepass._errors import OnepassError
from onepass._packages import install_command
from onepass._programs import end_with_starter
from onepass.source.process._job import ExportJob

JOB, FAILURE = "job.pickle", "failure.json"


def main(folder: str) -> None:
    """Run the job that lies in a folder, and leave the export, or what went wrong, there."""
    place = Path(folder)
    end_with_starter(partial(_tidy, place))
    # Written by the process that started this one, in a folder that nobody else can write to.
    job: ExportJob = pickle.loads((place / JOB).read_bytes())  # noqa: S301
    try:
        job.run(place).save(place)
    except OnepassError as error:
        _report(place, type(error).__name__, str(error))
    except ImportError as error:
        framework = job.framework
        advice = f"Install it again with: {install_command(str(framework.extra))}"
        _report(place, "MissingExtraError", f"{framework.name} is installed, but does not import ({error}). {advice}")
    except Exception as error:  # whatever the framework raises is told, with the place where it did
        traceback.print_exc()
        _report(place, "ConversionError", _first_lines(f"{type(error).__name__}: {error}"))


def _tidy(place: Path) -> None:
    """Leave nothing behind."""
    shutil.rmtree(place, ignore_errors=True)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # those that the framework started are in the group, too


def _report(place: Path, kind: str, message: str) -> None:
    (place / FAILURE).write_text(json.dumps({"kind": kind, "message": message}), encoding="utf-8")


def _first_lines(text: str) -> str:
    """Shorten what frameworks print by the screen."""
    plain = re.sub(r"\s+", " ", text).strip()
    return plain if len(plain) <= 600 else plain[:600] + " …"
