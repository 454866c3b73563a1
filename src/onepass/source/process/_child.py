"""The counterpart of `_parent`: open, export and run one source with its framework, in a separate process."""

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
    """Run the job stored in a folder, and write the export or the error there."""
    place = Path(folder)
    end_with_starter(partial(_tidy, place))
    # Written by the parent process, in a folder that no other user can write to.
    job: ExportJob = pickle.loads((place / JOB).read_bytes())  # noqa: S301
    try:
        job.run(place).save(place)
    except OnepassError as error:
        _report(place, type(error).__name__, str(error))
    except ImportError as error:
        framework = job.framework
        advice = f"Install it again with: {install_command(str(framework.extra))}"
        _report(place, "MissingExtraError", f"{framework.name} is installed, but does not import ({error}). {advice}")
    except Exception as error:  # any error of the framework is reported, with its traceback
        traceback.print_exc()
        _report(place, "ConversionError", _first_lines(f"{type(error).__name__}: {error}"))


def _tidy(place: Path) -> None:
    """Remove the folder, and end all processes of the group."""
    shutil.rmtree(place, ignore_errors=True)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # includes processes that the framework started


def _report(place: Path, kind: str, message: str) -> None:
    (place / FAILURE).write_text(json.dumps({"kind": kind, "message": message}), encoding="utf-8")


def _first_lines(text: str) -> str:
    """Shorten long messages of frameworks."""
    plain = re.sub(r"\s+", " ", text).strip()
    return plain if len(plain) <= 600 else plain[:600] + " …"
