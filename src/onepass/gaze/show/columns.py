"""The columns of a gaze table: one row for each frame, face and eye."""

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
    """Where a row belongs: a frame, and in it a face and one of its eyes if there is any."""

    result: StreamResult
    face: Face | None
    eye: Eye | None
    number: int | None
    words: GazeWords


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name, with the unit in it.
        kind: What its values are; any may be missing.
        about: What it says.
        value: Takes it from a place.
    """

    name: str
    kind: Kind
    about: str
    value: Callable[[_Place], Value]

    def value_at(self, place: _Place) -> Value:
        """Return what stands in a row."""
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
    """Return the eye's gaze in the head frame, where both are known."""
    if place.face is None or place.face.head is None or place.eye is None:
        return None
    return place.face.head.to_head(place.eye.gaze)


def _pitch_deg(gaze: Gaze | None) -> Value:
    return None if gaze is None else gaze.pitch_deg


def _yaw_deg(gaze: Gaze | None) -> Value:
    return None if gaze is None else gaze.yaw_deg


def _iris_radius_px(eye: Eye) -> float:
    return float(np.linalg.norm(eye.iris - eye.iris.mean(axis=0), axis=1).mean())


_OPENNESS = "mean gap between the lids, as a share of the distance between the eye's corners"
_NASAL, _TEMPORAL = "corner of the eye towards the nose", "corner of the eye towards the temple"

COLUMNS: tuple[Column, ...] = (
    _frame("frame", "integer", "number of the frame, from 0; a camera's gaps are frames left out",
           lambda result: result.frame.index),
    _frame("name", "text", "file name of the picture; of a video's frame its number", lambda result: result.frame.name),
    _frame("seconds", "number", "time since the source began; none for pictures", lambda result: result.frame.seconds),
    _frame("faces", "integer", "how many faces the frame has; without a face it has one row, that says 0",
           lambda result: len(result.faces)),
    Column("face", "integer", "number of the face in the frame, from 0", lambda place: place.number),
    _face("face_id", "number that a face keeps from frame to frame; none where faces are not followed",
          lambda face: face.id, "integer"),
    _face("face_left_px", "left edge of the face's box", lambda face: face.box.left_px),
    _face("face_top_px", "top edge of the face's box", lambda face: face.box.top_px),
    _face("face_width_px", "width of the face's box", lambda face: face.box.width_px),
    _face("face_height_px", "height of the face's box", lambda face: face.box.height_px),
    _head("head_pitch_deg", "the face points up (above 0) or down; camera frame", lambda head: head.pitch_deg),
    _head("head_yaw_deg", "the face points to the picture's right (above 0) or left; camera frame",
          lambda head: head.yaw_deg),
    _head("head_roll_deg", "the head is tilted clockwise in the picture (above 0) or anticlockwise",
          lambda head: head.roll_deg),
    _face("gaze_pitch_deg", "both eyes together look up (above 0) or down; camera frame",
          lambda face: face.gaze.pitch_deg),
    _face("gaze_yaw_deg", "both eyes together look to the picture's right (above 0) or left; camera frame",
          lambda face: face.gaze.yaw_deg),
    _face("gaze_in_head_pitch_deg", "the same in the head frame, where 0 is straight out of the face",
          lambda face: _pitch_deg(face.gaze_in_head)),
    _face("gaze_in_head_yaw_deg", "the same in the head frame; above 0 to the subject's left",
          lambda face: _yaw_deg(face.gaze_in_head)),
    _face("screen_x_px", "where on the screen the person looks; none without a calibration",
          lambda face: None if face.screen_px is None else float(face.screen_px[0])),
    _face("screen_y_px", "the same, downwards",
          lambda face: None if face.screen_px is None else float(face.screen_px[1])),
    _eye("eye", "left or right, as the subject would say it", lambda eye: eye.side, "text"),
    _eye("eye_confidence", "0 to 1, what share of the eye's landmarks is right, within 5 % of its width",
         lambda eye: eye.confidence),
    _eye("eye_blink", "whether the lids are shut", lambda eye: eye.blink, "flag"),
    _eye("eye_openness", _OPENNESS, lambda eye: eye.openness),
    _eye("eye_pitch_deg", "this eye looks up (above 0) or down; camera frame", lambda eye: eye.gaze.pitch_deg),
    _eye("eye_yaw_deg", "this eye looks to the picture's right (above 0) or left; camera frame",
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
    _frame("connection", "integer", "how often the stream was opened again before this frame, after it had broken off",
           lambda result: result.frame.connection),
    Column("gaze_word", "text", "left, right, up, down or centre, as the picture shows it",
           lambda place: None if place.face is None else place.words.direction(place.face.gaze)),
    _face("gaze_speed_deg_s", "how fast the gaze has turned since the last frame; none where faces are not followed",
          lambda face: face.speed_deg_s),
    Column("gaze_movement", "text", "fixation or saccade, by that speed (I-VT)",
           lambda place: None if place.face is None else place.words.movement(place.face.speed_deg_s)),
    _frame("finder", "text", "what found the faces: mesh, cascades, dlib, or a finder of one's own",
           lambda result: result.finder),
)  # fmt: skip
"""The columns, in order. Points are in picture pixels, pixel centres at x.5."""


def rows_of(result: StreamResult, words: GazeWords = _WORDS) -> Iterator[Mapping[str, Value]]:
    """Yield the rows of one frame: face by face, the subject's right eye first; one row where there is no face."""
    places = [
        _Place(result, face, eye, number, words) for number, face in enumerate(result.faces) for eye in face.eyes
    ] or [_Place(result, None, None, None, words)]
    for place in places:
        yield {column.name: column.value_at(place) for column in COLUMNS}
