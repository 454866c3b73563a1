"""The messages about a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onepass.gaze.page.blinks import BlinkCounter
from onepass.gaze.page.recording import Recording
from onepass.gaze.result import Face
from onepass.gaze.show.words import GazeWords
from onepass.gaze.stream import StreamResult
from onepass.media import Frame

_WORDS = GazeWords()


def size_of(frame: Frame) -> tuple[int, int]:
    """Return width and height of a frame."""
    return frame.picture.shape[1], frame.picture.shape[0]


def result_message(
    result: StreamResult, blinks: BlinkCounter, step: Mapping[str, Any] | None, recording: Recording | None
) -> dict[str, Any]:
    """Return a frame's faces, from `Face.to_json` plus words, and the progress of course and recording."""
    width, height = size_of(result.frame)
    return {
        "type": "result",
        "index": result.frame.index,
        "seconds": result.frame.seconds,
        "width": width,
        "height": height,
        "faces": [_told(face, blinks) for face in result.faces],
        "course": step,
        "recorded": None if recording is None else {"frames": recording.frames, "seconds": recording.seconds},
    }


def _told(face: Face, blinks: BlinkCounter) -> dict[str, Any]:
    return {
        **face.to_json(),
        "blinks": blinks.of(face),
        "word": _WORDS.direction(face.gaze),
        "movement": _WORDS.movement(face.speed_deg_s),
    }
