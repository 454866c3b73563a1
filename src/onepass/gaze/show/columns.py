"""The columns of a gaze table, which has one row per frame, face and eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from onepass.gaze.directions import Gaze, HeadPose
from onepass.gaze.result import Eye, Face
from onepass.gaze.show.words import GazeWords
from onepass.gaze.stream import StreamResult

Value: TypeAlias = str | int | float | bool | None
_WORDS = GazeWords()
Kind: TypeAlias = Literal["text", "integer", "number", "flag"]


@dataclass(frozen=True, slots=True)
class _Place:
    """The subject of a row: a frame and, if any, a face and one of its eyes."""

    result: StreamResult
    face: Face | None
    eye: Eye | None
    number: int | None
    words: GazeWords


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name, including the unit.
        kind: Kind of its values; any may be missing.
        about: Its description.
        value: Extracts the value.
    """

    name: str
    kind: Kind
    about: str
    value: Callable[[_Place], Value]

    def value_at(self, place: _Place) -> Value:
        """Return a row's value."""
        value = self.value(place)
        return float(value) if self.kind == "number" and value is not None else value


def _frame(name: str, kind: Kind, about: str, value: Callable[[StreamResult], Value]) -> Column:
    return Column(name, kind, about, lambda place: value(place.result))


def _face(name: str, about: str, value: Callable[[Face], Value], kind: Kind = "number") -> Column:
    return Column(name, kind, about, lambda place: None if place.face is None else value(place.face))


def _head(name: str, about: str, value: Callable[[HeadPose], Value]) -> Column:
    return _face(name, about, lambda face: None if face.head is None else value(face.head))


def _eye(name: str, about: str, value: Callable[[Eye], Value], kind: Kind = "number") -> Column:
    return Column(name, kind, about, lambda place: None if place.eye is None else value(place.eye))


def _in_head(place: _Place) -> Gaze | None:
    """Return the eye's gaze in the head frame, if both are known."""
    if place.face is None or place.face.head is None or place.eye is None:
        return None
    return place.face.head.to_head(place.eye.gaze)


def _pitch_deg(gaze: Gaze | None) -> Value:
    return None if gaze is None else gaze.pitch_deg


def _yaw_deg(gaze: Gaze | None) -> Value:
    return None if gaze is None else gaze.yaw_deg


def _iris_radius_px(eye: Eye) -> float:
    return float(np.linalg.norm(eye.iris - eye.iris.mean(axis=0), axis=1).mean())


_OPENNESS = "mean distance between the lids divided by the distance between the eye's corners"
_NASAL, _TEMPORAL = "inner corner of the eye", "outer corner of the eye"

COLUMNS: tuple[Column, ...] = (
    _frame("frame", "integer", "frame number, from 0; with a camera, gaps are dropped frames",
           lambda result: result.frame.index),
    _frame("name", "text", "file name of the picture; for a video, the frame number", lambda result: result.frame.name),
    _frame("seconds", "number", "time since the start of the source; none for pictures",
           lambda result: result.frame.seconds),
    _frame("faces", "integer", "number of faces in the frame; a frame without faces has one row, with 0",
           lambda result: len(result.faces)),
    Column("face", "integer", "index of the face in the frame, from 0", lambda place: place.number),
    _face("face_id", "persistent number of the face in a video; none if faces are not tracked",
          lambda face: face.id, "integer"),
    _face("face_left_px", "left edge of the face's box", lambda face: face.box.left_px),
    _face("face_top_px", "top edge of the face's box", lambda face: face.box.top_px),
    _face("face_width_px", "width of the face's box", lambda face: face.box.width_px),
    _face("face_height_px", "height of the face's box", lambda face: face.box.height_px),
    _head("head_pitch_deg", "head pitch: up (> 0) or down; camera frame", lambda head: head.pitch_deg),
    _head("head_yaw_deg", "head yaw: to the picture's right (> 0) or left; camera frame",
          lambda head: head.yaw_deg),
    _head("head_roll_deg", "head roll: clockwise in the picture (> 0) or anticlockwise",
          lambda head: head.roll_deg),
    _face("gaze_pitch_deg", "mean gaze of both eyes: up (> 0) or down; camera frame",
          lambda face: face.gaze.pitch_deg),
    _face("gaze_yaw_deg", "mean gaze of both eyes: to the picture's right (> 0) or left; camera frame",
          lambda face: face.gaze.yaw_deg),
    _face("gaze_in_head_pitch_deg", "gaze pitch in the head frame, where 0 is straight out of the face",
          lambda face: _pitch_deg(face.gaze_in_head)),
    _face("gaze_in_head_yaw_deg", "gaze yaw in the head frame: to the subject's left (> 0) or right",
          lambda face: _yaw_deg(face.gaze_in_head)),
    _face("screen_x_px", "x of the gaze point on the screen; none without a calibration",
          lambda face: None if face.screen_px is None else float(face.screen_px[0])),
    _face("screen_y_px", "y of the gaze point on the screen, downwards",
          lambda face: None if face.screen_px is None else float(face.screen_px[1])),
    _eye("eye", "left or right, from the subject's view", lambda eye: eye.side, "text"),
    _eye("eye_confidence", "0 to 1, expected share of the eye's landmarks that are accurate to 5 % of its width",
         lambda eye: eye.confidence),
    _eye("eye_blink", "whether the eye is closed", lambda eye: eye.blink, "flag"),
    _eye("eye_openness", _OPENNESS, lambda eye: eye.openness),
    _eye("eye_pitch_deg", "gaze of this eye: up (> 0) or down; camera frame", lambda eye: eye.gaze.pitch_deg),
    _eye("eye_yaw_deg", "gaze of this eye: to the picture's right (> 0) or left; camera frame",
         lambda eye: eye.gaze.yaw_deg),
    Column("eye_in_head_pitch_deg", "number", "the same in the head frame", lambda place: _pitch_deg(_in_head(place))),
    Column("eye_in_head_yaw_deg", "number", "the same in the head frame", lambda place: _yaw_deg(_in_head(place))),
    _eye("iris_x_px", "centre of the iris", lambda eye: float(eye.iris_centre[0])),
    _eye("iris_y_px", "centre of the iris", lambda eye: float(eye.iris_centre[1])),
    _eye("iris_radius_px", "mean radius of the iris", _iris_radius_px),
    _eye("eyeball_x_px", "centre of the eyeball", lambda eye: float(eye.eyeball_centre[0])),
    _eye("eyeball_y_px", "centre of the eyeball", lambda eye: float(eye.eyeball_centre[1])),
    _eye("eyeball_radius_px", "radius of the eyeball", lambda eye: eye.eyeball_radius_px),
    _eye("nasal_x_px", _NASAL, lambda eye: float(eye.nasal_corner[0])),
    _eye("nasal_y_px", _NASAL, lambda eye: float(eye.nasal_corner[1])),
    _eye("temporal_x_px", _TEMPORAL, lambda eye: float(eye.temporal_corner[0])),
    _eye("temporal_y_px", _TEMPORAL, lambda eye: float(eye.temporal_corner[1])),
    _frame("connection", "integer", "number of reconnections to the stream before this frame",
           lambda result: result.frame.connection),
    Column("gaze_word", "text", "left, right, up, down or centre, from the picture's view",
           lambda place: None if place.face is None else place.words.direction(place.face.gaze)),
    _face("gaze_speed_deg_s", "angular speed of the gaze since the last frame; none if faces are not tracked",
          lambda face: face.speed_deg_s),
    Column("gaze_movement", "text", "fixation or saccade, according to that speed (I-VT)",
           lambda place: None if place.face is None else place.words.movement(place.face.speed_deg_s)),
    _frame("finder", "text", "face finder: mesh, cascades, dlib, or the name of a custom finder",
           lambda result: result.finder),
)  # fmt: skip
"""The columns, in order. Points are in picture pixels, with pixel centres at x.5."""


def rows_of(result: StreamResult, words: GazeWords = _WORDS) -> Iterator[Mapping[str, Value]]:
    """Yield the rows of one frame: face by face, the subject's right eye first; a single row without a face."""
    places = [
        _Place(result, face, eye, number, words) for number, face in enumerate(result.faces) for eye in face.eyes
    ] or [_Place(result, None, None, None, words)]
    for place in places:
        yield {column.name: column.value_at(place) for column in COLUMNS}
