"""Faces as JSON, and the schema that says what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onepass.gaze import COLUMNS, Box, Face, Gaze, HeadPose, StreamResult
from onepass.gaze.result import SCHEMA_PATH
from onepass.gaze.show.columns import rows_of
from onepass.media import Frame

from .schemas import faults
from .test_result import make_eye

SCHEMA = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
PLAIN = Face(Box(1, 2, 3, 4), (make_eye(),))
LEFT = make_eye(gaze=Gaze(0.1, -0.2), point_confidences=np.linspace(0, 1, 17), blink=True)
FULL = Face(
    Box(10, 20, 60, 70),
    (replace(LEFT, side="right", confidence=np.float64(0.25)), LEFT),
    HeadPose(0.1, 0.2, 0.3),
    id=7,
    screen_px=np.array([800.0, 400.0]),
    speed_deg_s=80.0,
)


@pytest.mark.parametrize("face", [PLAIN, FULL], ids=["plain", "full"])
def test_a_face_is_what_its_schema_says(face: Face) -> None:
    """What `to_json` returns, of a face and of each part, goes through JSON unchanged and fits the schema."""
    parts: list[Any] = [face, face.box, face.gaze, *face.eyes, *([] if face.head is None else [face.head])]
    for part in parts:
        content = part.to_json()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert list(faults(content, SCHEMA["$defs"][type(part).__name__], SCHEMA)) == []
    assert list(faults(face.to_json(), SCHEMA, SCHEMA)) == []


def test_json_has_what_the_face_has() -> None:
    """Points are in picture pixels, angles in degrees, and nothing is rounded."""
    content = FULL.to_json()
    assert content["id"] == 7
    assert content["box"] == {"left_px": 10, "top_px": 20, "width_px": 60, "height_px": 70}
    assert content["head"] == {"pitch_deg": np.degrees(0.1), "yaw_deg": np.degrees(0.2), "roll_deg": np.degrees(0.3)}
    assert content["gaze_in_head"]["yaw_deg"] == FULL.head.to_head(FULL.gaze).yaw_deg  # type: ignore[union-attr]
    assert content["screen_px"] == [800, 400]
    eye = content["eyes"][1]
    assert (eye["side"], eye["blink"], eye["openness"]) == ("left", True, LEFT.openness)
    np.testing.assert_array_equal(eye["eyelid"], LEFT.eyelid)
    np.testing.assert_array_equal(eye["iris"], LEFT.iris)
    np.testing.assert_array_equal(eye["point_confidences"], np.linspace(0, 1, 17))
    assert PLAIN.to_json()["head"] is PLAIN.to_json()["screen_px"] is PLAIN.to_json()["id"] is None


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda face: face.pop("head"), "required"),
        (lambda face: face.update(mood="glad"), "mood: unknown"),
        (lambda face: face.update(id=1.5), r"\.id"),
        (lambda face: face["eyes"].clear(), r"\.eyes: minItems"),
        (lambda face: face["eyes"][0].update(side="third"), r"\.eyes\[0\]\.side: enum"),
        (lambda face: face["eyes"][0]["iris"].pop(), r"\.iris: minItems"),
        (lambda face: face["box"].update(width_px=0), r"\.box\.width_px: exclusiveMinimum"),
        (lambda face: face["gaze"].update(pitch_deg="up"), "is no number"),
    ],
)
def test_the_schema_refuses_what_is_no_face(spoil: Callable[[Any], Any], fault: str) -> None:
    """A key too few or too many, a value of another kind or out of its range is no face."""
    content = FULL.to_json()
    spoil(content)
    (found,) = faults(content, SCHEMA, SCHEMA)
    assert re.search(fault, found)


def at(content: Any, path: str) -> Any:
    """Return what lies at a path of keys and indices in JSON; None where there is nothing on the way."""
    for step in path.split("."):
        content = None if content is None else content[int(step) if isinstance(content, list) else step]
    return content


IN_FACE = {
    "face_id": "id", "face_left_px": "box.left_px", "face_top_px": "box.top_px", "face_width_px": "box.width_px",
    "face_height_px": "box.height_px", "head_pitch_deg": "head.pitch_deg", "head_yaw_deg": "head.yaw_deg",
    "head_roll_deg": "head.roll_deg", "gaze_pitch_deg": "gaze.pitch_deg", "gaze_yaw_deg": "gaze.yaw_deg",
    "gaze_in_head_pitch_deg": "gaze_in_head.pitch_deg", "gaze_in_head_yaw_deg": "gaze_in_head.yaw_deg",
    "gaze_speed_deg_s": "speed_deg_s", "screen_x_px": "screen_px.0", "screen_y_px": "screen_px.1",
}  # fmt: skip
IN_EYE = {
    "eye": "side", "eye_confidence": "confidence", "eye_blink": "blink", "eye_openness": "openness",
    "eye_pitch_deg": "gaze.pitch_deg", "eye_yaw_deg": "gaze.yaw_deg", "iris_x_px": "iris_centre.0",
    "iris_y_px": "iris_centre.1", "eyeball_x_px": "eyeball_centre.0", "eyeball_y_px": "eyeball_centre.1",
    "eyeball_radius_px": "eyeball_radius_px", "nasal_x_px": "eyelid.0.0", "nasal_y_px": "eyelid.0.1",
    "temporal_x_px": "eyelid.4.0", "temporal_y_px": "eyelid.4.1",
}  # fmt: skip
ELSEWHERE = {
    "frame", "name", "seconds", "connection", "faces", "face", "gaze_word", "gaze_movement", "finder", "iris_radius_px",
    "eye_in_head_pitch_deg", "eye_in_head_yaw_deg",
}  # fmt: skip


def test_a_table_says_the_same() -> None:
    """Each column of a gaze table has the value that the JSON of its face has; the rest are the frame's, or follow."""
    assert {column.name for column in COLUMNS} == {*IN_FACE, *IN_EYE, *ELSEWHERE}
    faces = (FULL, PLAIN)
    rows = list(rows_of(StreamResult(Frame(np.zeros((80, 100, 3), np.uint8), 0, 0.5, "a"), faces)))
    eyes = [(face.to_json(), eye.to_json()) for face in faces for eye in face.eyes]
    for row, (face, eye) in zip(rows, eyes, strict=True):
        assert {name: row[name] for name in IN_FACE} == {name: at(face, path) for name, path in IN_FACE.items()}
        assert {name: row[name] for name in IN_EYE} == {name: at(eye, path) for name, path in IN_EYE.items()}


def test_the_schema_knows_no_other_keys() -> None:
    """Objects are closed, so that a key that is added to one has to be described."""
    objects = [part for part in SCHEMA["$defs"].values() if part.get("type") == "object"]
    assert len(objects) == 5
    assert all(part["additionalProperties"] is False for part in objects)
