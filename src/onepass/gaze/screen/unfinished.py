"""A calibration's session that was broken off: what was recorded so far, kept so that it can go on."""

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
    """What a session is recorded with. It goes on with the same only: samples of two kinds make no calibration.

    Attributes:
        source: The camera.
        screen: The screen; how wide and how far away it is does not matter to what is recorded.
        points: How many points there are in all.
        model: The network, by its file's name and content.
        gaze: How the gaze is read off the landmarks.
        finder: What finds faces.
    """

    source: str
    screen: Screen
    points: int
    model: str
    gaze: str
    finder: str

    def differences(self, now: Setup) -> list[str]:
        """Return what is not as it was, each as a phrase: ``finder='mesh', not 'cascades'``."""
        before, after = self._choices, now._choices
        return [f"{name}={was!r}, not {after[name]!r}" for name, was in before.items() if was != after[name]]

    @property
    def _choices(self) -> dict[str, object]:
        return {**asdict(self), "screen": str(self.screen)}


def unfinished_path(calibration: str | os.PathLike[str]) -> Path:
    """Return where the session is kept that a calibration's file is going to be made of."""
    path = Path(calibration)
    return path.with_name(f"{path.stem}.unfinished.json")


def save_unfinished(path: str | os.PathLike[str], setup: Setup, recording: Recording) -> None:
    """Write what was recorded so far, and with what."""
    content = {"format": _FORMAT, "setup": asdict(setup), "columns": SAMPLE_COLUMNS, "rows": recording.rows}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def load_unfinished(path: str | os.PathLike[str], setup: Setup) -> Recording:
    """Read what `save_unfinished` wrote.

    Args:
        path: The file.
        setup: What the session goes on with.

    Raises:
        InputError: There is no such file, it is none of this version, or it was recorded with something else.
    """
    name, anew = os.fspath(path), "start anew, without resume=True"
    try:
        before, recording = _from_json(parsed_json(Path(path).read_bytes()))
    except FileNotFoundError as error:
        raise InputError(f"there is no session to go on with, {name!r}; {anew}") from error
    except OSError as error:
        raise InputError(f"cannot read the session {name!r}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{name!r} is no session of format {_FORMAT} ({error}); {anew}") from error
    differences = before.differences(setup)
    if differences:
        raise InputError(f"{name!r} was recorded with {'; '.join(differences)}. Go on with the same, or {anew}")
    return recording


def _from_json(content: Mapping[str, Any]) -> tuple[Setup, Recording]:
    if content["format"] != _FORMAT:
        raise ValueError(f"its format is {content['format']}")
    setup = Setup(**{**content["setup"], "screen": Screen(**content["setup"]["screen"])})
    texts = [["" if number is None else str(number) for number in row] for row in content["rows"]]
    rows = [dict(zip(content["columns"], row, strict=True)) for row in texts]
    if not all(map(is_sample, rows)):
        raise ValueError("one of its rows is not whole")
    targets = np.array([target_of(row) for row in rows], np.float64).reshape(-1, 2)
    return setup, Recording(tuple(sample_of(row) for row in rows), targets)
