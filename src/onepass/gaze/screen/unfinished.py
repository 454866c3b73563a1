"""Interrupted calibration sessions: store the recording so far, so that the session can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import InputError
from onepass._json import parsed_json
from onepass.artifacts import replacing
from onepass.gaze.screen.recording import Recording
from onepass.gaze.screen.rows import SAMPLE_COLUMNS, is_sample, sample_of, target_of
from onepass.gaze.screen.sample import Screen

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Setup:
    """The set-up of a session. It must stay the same on resume, because mixed samples make no valid calibration.

    Attributes:
        source: The camera.
        screen: The screen; its physical size and distance do not affect the recording.
        points: Total number of points.
        model: The network, by file name and content.
        gaze: The gaze method.
        finder: The face finder.
    """

    source: str
    screen: Screen
    points: int
    model: str
    gaze: str
    finder: str

    def differences(self, now: Setup) -> list[str]:
        """Return the differences as phrases: ``finder='mesh', not 'cascades'``."""
        before, after = self._choices, now._choices
        return [f"{name}={was!r}, not {after[name]!r}" for name, was in before.items() if was != after[name]]

    @property
    def _choices(self) -> dict[str, object]:
        return {**asdict(self), "screen": str(self.screen)}


def unfinished_path(calibration: str | os.PathLike[str]) -> Path:
    """Return the path of the session file for a calibration file."""
    path = Path(calibration)
    return path.with_name(f"{path.stem}.unfinished.json")


def save_unfinished(path: str | os.PathLike[str], setup: Setup, recording: Recording) -> None:
    """Write the recording so far, and its set-up."""
    content = {"format": _FORMAT, "setup": asdict(setup), "columns": SAMPLE_COLUMNS, "rows": recording.rows}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load_unfinished(path: str | os.PathLike[str], setup: Setup) -> Recording:
    """Read a session that `save_unfinished` wrote.

    Args:
        path: The file.
        setup: The current set-up.

    Raises:
        InputError: The file does not exist, is not a session of this version, or has another set-up.
    """
    name, anew = os.fspath(path), "start a new session, without resume=True"
    try:
        before, recording = _from_json(parsed_json(Path(path).read_bytes()))
    except FileNotFoundError as error:
        raise InputError(f"no session to resume, {name!r} not found; {anew}") from error
    except OSError as error:
        raise InputError(f"cannot read the session {name!r}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{name!r} is not a session of format {_FORMAT} ({error}); {anew}") from error
    differences = before.differences(setup)
    if differences:
        raise InputError(f"{name!r} was recorded with {'; '.join(differences)}. Use the same set-up, or {anew}")
    return recording


def _from_json(content: Mapping[str, Any]) -> tuple[Setup, Recording]:
    if content["format"] != _FORMAT:
        raise ValueError(f"its format is {content['format']}")
    setup = Setup(**{**content["setup"], "screen": Screen(**content["setup"]["screen"])})
    texts = [["" if number is None else str(number) for number in row] for row in content["rows"]]
    rows = [dict(zip(content["columns"], row, strict=True)) for row in texts]
    if not all(map(is_sample, rows)):
        raise ValueError("a row is incomplete")
    targets = np.array([target_of(row) for row in rows], np.float64).reshape(-1, 2)
    return setup, Recording(tuple(sample_of(row) for row in rows), targets)
