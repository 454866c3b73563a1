"""What `GazeTracker` knows of each face that it follows."""

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

# How wide an eye can look, in distances between the eyes: usually 0.45, less or more where the head is turned away.
_SIZES = (0.3, 0.65)
# A followed eye that lies further than this from where the finder sees it, in corner distances, is something else.
_ASTRAY = 0.6
# For so long a face that the finder does not see is followed by what the network sees.
_UNSEEN_SECONDS = 0.8
# For so long a face that may have become another is shown, and after so long without a doubt it may look different.
_SUSPECT_SECONDS = 0.2
_TURNED_SECONDS = 1.0
# So often a face is looked at to know it later.
_KEEP_SECONDS = 0.3
# Two tracks whose eyes lie closer than that, in corner distances, follow one face.
_ONE_FACE = 0.5
# Of two tracks of one face that look as much like it, to within this, the older one is right.
_ALIKE = 0.1


class Track:
    """One face from frame to frame.

    Attributes:
        id: Its number.
        box: Where the face is.
        is_followed: Whether the finder saw this face when it was last asked to find or to follow it.
        looks: What it looks like.
        is_suspect: Whether it may be somebody else by now: what lies there has not just moved on since it was compared.
    """

    def __init__(
        self, number: int, found: FoundFace, smoothing: Smoothing | None, time_seconds: float, looks: Likeness
    ) -> None:
        """Start to follow a face that was found at that time and is known to look like that, as far as it is known."""
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
        """Nasal and temporal corner [2, 2] of each eye that is followed, as last seen."""
        return {side: eye.corners for side, eye in self._eyes.items()}

    @property
    def found(self) -> FoundFace:
        """The face, as a finder would say it."""
        # The mesh goes along: it says where a finder that follows faces will look for this one.
        mesh = None if self._mesh is None else self._mesh + self._moved
        corners = self.corners
        return FoundFace(self.box, corners.get("right"), corners.get("left"), self._head_seen, mesh)

    @property
    def tilt_deg(self) -> float:
        """How far the head is tilted clockwise in the picture, by the eyes that are followed."""
        ways = [
            corners[1] - corners[0] if side == "left" else corners[0] - corners[1]
            for side, corners in self.corners.items()
        ]
        across, down = sum(ways).tolist()
        return math.degrees(math.atan2(down, across))

    @property
    def is_doubtful(self) -> bool:
        """Whether no eye of this face was seen clearly in the last frame that was shown."""
        return self._sure_seconds < self._shown_seconds

    @property
    def needs_another_look(self) -> bool:
        """Whether the crop of an eye that was looked at is not placed yet."""
        return any(eye.is_being_placed for eye in self._eyes.values())

    def correct(self, found: FoundFace, time_seconds: float) -> None:
        """Take from a finder what the network does not see: the box, the head, eyes that are new or went astray."""
        self.box = found.box
        self.is_followed = True
        self._found_seconds = time_seconds
        self._is_to_be_kept = True
        self._head_seen, self._mesh = found.head, found.mesh
        # How far the face has moved since the mesh was seen.
        self._moved = np.zeros(3)
        for side, corners in found.corners.items():
            mine = self._eyes.get(side)
            if mine is None or distance(mine.corners, corners) > _ASTRAY:
                self._eyes[side] = EyeTrack(corners, self._smoothing, time_seconds)
                self._sure_seconds = time_seconds

    def forget_head(self) -> None:
        """Take the finder's view of the head for outdated."""
        self.is_followed = False
        self._head_seen = self._mesh = None

    def predict(self, before: Grey, now: Grey) -> None:
        """Move on with the face from one frame to the next.

        Crops that lag behind a moving face show its eyes off the middle, which draws the gaze aside.
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
        """Whether this can still be the face that it was, after it was followed through a frame, uint8 [H, W].

        Looked at is only where that is in doubt, and where the finder has just seen it, to know it later.
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
        # A face that has been followed so long without a doubt shows another side of itself.
        if keeps and look is not None and (now == self._alike_seconds or self._is_turned(now)):
            self.looks.add(look)
            self._is_to_be_kept, self._kept_seconds = False, now
        return True

    def _is_turned(self, time_seconds: float) -> bool:
        return time_seconds - self._alike_seconds > _TURNED_SECONDS

    def follow(self, face: Face, time_seconds: float) -> float:
        """Move on to where the network saw the eyes; return how far off their crops were, in corner distances."""
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
        """Return the face as it is to be shown, after it was followed to that time."""
        self._shown_seconds = time_seconds
        eyes = tuple(self._eyes[eye.side].shown(eye, time_seconds) for eye in face.eyes)
        seen = replace(face, box=self.box, eyes=eyes, head=self._head(face.head, time_seconds), id=self.id)
        return replace(seen, speed_deg_s=self._speed_deg_s(seen, time_seconds))

    def _speed_deg_s(self, face: Face, time_seconds: float) -> float | None:
        """Return how fast the gaze has turned since the last frame, where it was seen in both."""
        before, self._gaze = self._gaze, None
        if any(eye.blink for eye in face.eyes):
            return None
        self._gaze = face.gaze, time_seconds
        if before is None or time_seconds <= before[1]:
            return None
        return face.gaze.degrees_to(before[0]) / (time_seconds - before[1])

    def _move(self, move: FloatArray, growth: float, seen: set[Side]) -> None:
        """Take the box, and eyes that are covered for a moment, along with those that are seen."""
        x, y = (self.box.centre + move).tolist()
        width, height = self.box.width_px * growth, self.box.height_px * growth
        self.box = Box(x - width / 2, y - height / 2, width, height)
        self._moved[:2] += move
        for side in self._eyes.keys() - seen:
            self._eyes[side].corners = self._eyes[side].corners + move

    def is_missed(self, time_seconds: float) -> bool:
        """Whether the finder, asked again, has not seen it for too long."""
        return not self.is_followed and time_seconds - self._found_seconds > _UNSEEN_SECONDS

    def drop_eyes(self, time_seconds: float, shape: tuple[int, ...]) -> None:
        """Give up eyes that were not seen clearly for too long, or lie outside a picture of this shape."""
        self._eyes = {side: eye for side, eye in self._eyes.items() if not eye.is_gone(time_seconds, shape)}


def doubles_of(tracks: Sequence[Track], grey: Grey) -> list[Track]:
    """Return the tracks that follow the same eye as another one: those that look less like what is there, or younger.

    Args:
        tracks: All that are followed, oldest first.
        grey: The picture that they were followed through, uint8 [H, W].
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
