"""The state of each face that `GazeTracker` follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onepass.gaze.directions import Gaze
from onepass.gaze.find.faces import FoundFace
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box, Face, Side
from onepass.gaze.video._corners import distance, eye_distance, middle, resized
from onepass.gaze.video._eye_track import EyeTrack
from onepass.gaze.video._likeness import Likeness, look_at
from onepass.gaze.video._motion import move_between
from onepass.gaze.video._who import OTHER_FACE, SAME_FACE
from onepass.gaze.video.smoothing import HeadFilter, Smoothing

# Range of an eye's width, in distances between the eyes: usually 0.45, other values occur for turned heads.
_SIZES = (0.3, 0.65)
# A followed eye further than this from the finder's position, in corner distances, has gone astray.
_ASTRAY = 0.6
# A face that the finder misses is followed by the network alone for this long.
_UNSEEN_SECONDS = 0.8
# A face whose identity is in doubt is shown for this long; after this long without doubt, its look may have changed.
_SUSPECT_SECONDS = 0.2
_TURNED_SECONDS = 1.0
# Interval between looks that are kept to recognise a face later.
_KEEP_SECONDS = 0.3
# Two tracks with eyes closer than this, in corner distances, follow the same face.
_ONE_FACE = 0.5
# If two tracks of one face differ in similarity by less than this, the older one is kept.
_ALIKE = 0.1


class Track:
    """One face from frame to frame.

    Attributes:
        id: Its number.
        box: The bounding box.
        is_followed: Whether the finder detected this face in its last search or follow-up.
        looks: The known looks at it.
        is_suspect: Whether its identity is in doubt, because it has not moved continuously since the last comparison.
    """

    def __init__(
        self, number: int, found: FoundFace, smoothing: Smoothing | None, time_seconds: float, looks: Likeness
    ) -> None:
        """Start to follow a face that was found at that time, with its known looks."""
        self.id = number
        self.looks = looks
        self._gaze: tuple[Gaze, float] | None = None
        self.is_suspect = False
        self._kept_seconds = -math.inf
        self._suspect_seconds = self._alike_seconds = time_seconds
        self._smoothing = smoothing
        self._head = HeadFilter(smoothing)
        self._eyes: dict[Side, EyeTrack] = {}
        self._shown_seconds = time_seconds
        self.correct(found, time_seconds)

    @property
    def corners(self) -> dict[Side, FloatArray]:
        """Nasal and temporal corner [2, 2] of each followed eye, as last detected."""
        return {side: eye.corners for side, eye in self._eyes.items()}

    @property
    def found(self) -> FoundFace:
        """The face as a finder would return it."""
        # The mesh is included: finders that follow faces start from it.
        mesh = None if self._mesh is None else self._mesh + self._moved
        corners = self.corners
        return FoundFace(self.box, corners.get("right"), corners.get("left"), self._head_seen, mesh)

    @property
    def tilt_deg(self) -> float:
        """The head's tilt, clockwise in the picture, according to the followed eyes."""
        ways = [
            corners[1] - corners[0] if side == "left" else corners[0] - corners[1]
            for side, corners in self.corners.items()
        ]
        across, down = sum(ways).tolist()
        return math.degrees(math.atan2(down, across))

    @property
    def is_doubtful(self) -> bool:
        """Whether no eye of this face was clearly detected in the last shown frame."""
        return self._sure_seconds < self._shown_seconds

    @property
    def needs_another_look(self) -> bool:
        """Whether the crop of an eye is still being placed."""
        return any(eye.is_being_placed for eye in self._eyes.values())

    def correct(self, found: FoundFace, time_seconds: float) -> None:
        """Update from a finder what the network does not provide: the box, the head, and new or astray eyes."""
        self.box = found.box
        self.is_followed = True
        self._found_seconds = time_seconds
        self._is_to_be_kept = True
        self._head_seen, self._mesh = found.head, found.mesh
        # Movement of the face since the mesh was computed.
        self._moved = np.zeros(3)
        for side, corners in found.corners.items():
            mine = self._eyes.get(side)
            if mine is None or distance(mine.corners, corners) > _ASTRAY:
                self._eyes[side] = EyeTrack(corners, self._smoothing, time_seconds)
                self._sure_seconds = time_seconds

    def forget_head(self) -> None:
        """Discard the finder's head pose and mesh as outdated."""
        self.is_followed = False
        self._head_seen = self._mesh = None

    def predict(self, before: Grey, now: Grey) -> None:
        """Move the track with the face from one frame to the next.

        Crops that lag behind a moving face are not centred on its eyes, which biases the gaze.
        """
        move = move_between(before, now, self.box)
        if move is not None:
            self._move(move.shift, 1.0, seen=set())
        if move is None or not move.is_sure:
            self._suspect()

    def _suspect(self) -> None:
        if not self.is_suspect:
            self.is_suspect, self._suspect_seconds = True, self._shown_seconds

    def compare(self, grey: Grey) -> bool:
        """Whether this can still be the same face, after it was followed through a frame, uint8 [H, W].

        Looks are only computed if that is in doubt, or to keep one when the finder has just detected the face.
        """
        now = self._shown_seconds
        keeps = self._is_to_be_kept and now - self._kept_seconds >= _KEEP_SECONDS
        if not (self.is_suspect or keeps) or self.is_doubtful or self.needs_another_look:
            return True
        look = look_at(grey, self.corners)
        likeness = self.looks.to(look)
        if likeness is None or likeness >= SAME_FACE:
            self.is_suspect, self._alike_seconds = False, now
        elif self.is_suspect:
            return likeness >= OTHER_FACE and now - self._suspect_seconds <= _SUSPECT_SECONDS
        # A face followed for long enough without doubt may show a new side.
        if keeps and look is not None and (now == self._alike_seconds or self._is_turned(now)):
            self.looks.add(look)
            self._is_to_be_kept, self._kept_seconds = False, now
        return True

    def _is_turned(self, time_seconds: float) -> bool:
        return time_seconds - self._alike_seconds > _TURNED_SECONDS

    def follow(self, face: Face, time_seconds: float) -> float:
        """Move to the eyes detected by the network; return how far off their crops were, in corner distances."""
        before = self.corners
        seen: dict[Side, FloatArray] = {}
        for eye in face.eyes:
            mine = self._eyes[eye.side]
            corners = mine.seen(eye, time_seconds)
            self._sure_seconds = max(self._sure_seconds, mine.sure_seconds)
            if corners is not None:
                seen[eye.side] = corners
        growth, limits_px = 1.0, (1.0, np.inf)
        if len(seen) == 2:
            growth = eye_distance(seen) / eye_distance(before)
            limits_px = (_SIZES[0] * eye_distance(seen), _SIZES[1] * eye_distance(seen))
        for side, corners in seen.items():
            mine = self._eyes[side]
            mine.corners = corners if mine.is_being_placed else resized(corners, before[side], growth, limits_px)
        if seen:
            moves = [middle(seen[side]) - middle(before[side]) for side in seen]
            self._move(sum(moves[1:], moves[0]) / len(moves), growth, set(seen))
        return max((distance(before[side], corners) for side, corners in seen.items()), default=0.0)

    def shown(self, face: Face, time_seconds: float) -> Face:
        """Return the face to show, after it was followed to that time."""
        self._shown_seconds = time_seconds
        eyes = tuple(self._eyes[eye.side].shown(eye, time_seconds) for eye in face.eyes)
        seen = replace(face, box=self.box, eyes=eyes, head=self._head(face.head, time_seconds), id=self.id)
        return replace(seen, speed_deg_s=self._speed_deg_s(seen, time_seconds))

    def _speed_deg_s(self, face: Face, time_seconds: float) -> float | None:
        """Return the gaze's angular speed since the last frame; None unless it is known in both frames."""
        before, self._gaze = self._gaze, None
        if any(eye.blink for eye in face.eyes):
            return None
        self._gaze = face.gaze, time_seconds
        if before is None or time_seconds <= before[1]:
            return None
        return face.gaze.degrees_to(before[0]) / (time_seconds - before[1])

    def _move(self, move: FloatArray, growth: float, seen: set[Side]) -> None:
        """Move the box, and the eyes that are not currently detected, along with the detected ones."""
        x, y = (self.box.centre + move).tolist()
        width, height = self.box.width_px * growth, self.box.height_px * growth
        self.box = Box(x - width / 2, y - height / 2, width, height)
        self._moved[:2] += move
        for side in self._eyes.keys() - seen:
            self._eyes[side].corners = self._eyes[side].corners + move

    def is_missed(self, time_seconds: float) -> bool:
        """Whether the finder has missed it for too long."""
        return not self.is_followed and time_seconds - self._found_seconds > _UNSEEN_SECONDS

    def drop_eyes(self, time_seconds: float, shape: tuple[int, ...]) -> None:
        """Drop eyes that were not clearly detected for too long, or are outside a picture of this shape."""
        self._eyes = {side: eye for side, eye in self._eyes.items() if not eye.is_gone(time_seconds, shape)}


def doubles_of(tracks: Sequence[Track], grey: Grey) -> list[Track]:
    """Return the tracks that duplicate another one: of each pair, the less similar one, or the younger one.

    Args:
        tracks: All tracks, oldest first.
        grey: The current frame, uint8 [H, W].
    """
    doubles: list[Track] = []
    for index, first in enumerate(tracks):
        for second in tracks[index + 1 :]:
            if first in doubles or second in doubles or not _same_eye(second, first):
                continue
            look = look_at(grey, first.corners)
            likenesses = [track.looks.to(look) or 0.0 for track in (first, second)]
            apart = likenesses[1] - likenesses[0]
            doubles.append(first if apart >= _ALIKE else second)
    return doubles


def _same_eye(first: Track, second: Track) -> bool:
    return any(distance(a, b) < _ONE_FACE for a in first.corners.values() for b in second.corners.values())
