"""What `GazeTracker` knows of each face, and which of the faces that were found is which of those it knows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from onepass.gaze.eyes import corners_agree
from onepass.gaze.find.faces import FoundFace
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box, Face, Side
from onepass.gaze.video._motion import shift_between
from onepass.gaze.video.smoothing import EyeFilter, HeadFilter, Smoothing

LEAST_CONFIDENCE = 0.3
"""An eye with less confidence than this does not say where it will be in the next frame."""

# For so long an eye that is not seen clearly is followed: longer than a blink, shorter than a turn of the head.
_PATIENCE_SECONDS = 0.5
# Lids that come below this share of what is usual drag the corners along: a blink does not say where the eye is.
_OPEN_SHARE = 0.7
# How much of the size of an eye in one frame goes into the size of its next crop.
_SIZE_SHARE = 0.15
# So many looks at a new eye place its crop, each better than the one before; the next says what is seen from there.
_PLACING_LOOKS = 2
# How wide an eye can look, in distances between the eyes: usually 0.45, less or more where the head is turned away.
_SIZES = (0.3, 0.65)
# Two looks at one face lie at most so far apart (middle to middle, in face widths) and differ in width at most by that.
_SAME_PLACE = 0.8
_SAME_WIDTH = 2.0
# A followed eye that lies further than this from where the finder sees it, in corner distances, is something else.
_ASTRAY = 0.6
# Two tracks whose eyes lie closer than that, in corner distances, follow one face.
_ONE_FACE = 0.5


class Track:
    """One face from frame to frame.

    Attributes:
        id: Its number.
        corners: Nasal and temporal corner [2, 2] of each eye that is followed, as last seen.
        box: Where the face is.
        is_followed: Whether the finder saw this face when it was last asked to find or to follow it.
    """

    def __init__(self, number: int, found: FoundFace, smoothing: Smoothing | None, time_seconds: float) -> None:
        """Start to follow a face that was found at that time."""
        self.id = number
        self.corners = found.corners
        self.box = found.box
        self.is_followed = True
        self._head_seen, self._mesh = found.head, found.mesh
        # How far the face has moved since the mesh was seen.
        self._moved = np.zeros(2)
        self._smoothing = smoothing
        self._sure_seconds: dict[Side, float] = dict.fromkeys(self.corners, time_seconds)
        self._eyes = {side: EyeFilter(smoothing) for side in self.corners}
        self._open_seconds: dict[Side, float] = {}
        self._placings: Counter[Side] = Counter()
        # How far from the corners [2] that placed a crop the network sees them in it, as complex multiples of the way
        # between the two, once the crop is placed.
        self._offsets: dict[Side, npt.NDArray[np.complex128]] = {}
        self._head = HeadFilter(smoothing)
        self._shown_seconds = time_seconds

    @property
    def found(self) -> FoundFace:
        """The face, as a finder would say it."""
        # The mesh goes along: it says where a finder that follows faces will look for this one.
        mesh = None if self._mesh is None else self._mesh + np.append(self._moved, 0)
        return FoundFace(self.box, self.corners.get("right"), self.corners.get("left"), self._head_seen, mesh)

    @property
    def is_doubtful(self) -> bool:
        """Whether no eye of this face was seen clearly in the last frame that was shown."""
        return max(self._sure_seconds.values()) < self._shown_seconds

    @property
    def needs_another_look(self) -> bool:
        """Whether the crop of an eye that was looked at is not placed yet."""
        return any(side in self.corners and side not in self._offsets for side in self._placings)

    def correct(self, found: FoundFace, time_seconds: float) -> None:
        """Take from a finder what the network does not see: the box, the head, eyes that are new or went astray."""
        self.box = found.box
        self.is_followed = True
        self._head_seen, self._mesh, self._moved = found.head, found.mesh, np.zeros(2)
        for side, corners in found.corners.items():
            mine = self.corners.get(side)
            if mine is None or _distance(mine, corners) > _ASTRAY:
                self.corners[side] = corners
                self._sure_seconds[side] = time_seconds
                self._eyes[side] = EyeFilter(self._smoothing)
                self._open_seconds.pop(side, None)
                self._placings.pop(side, None)
                self._offsets.pop(side, None)

    def forget_head(self) -> None:
        """Take the finder's view of the head for outdated."""
        self.is_followed = False
        self._head_seen = self._mesh = None

    def predict(self, before: Grey, now: Grey) -> None:
        """Move on with the face from one frame to the next.

        Crops that lag behind a moving face show its eyes off the middle, which draws the gaze aside.
        """
        shift = shift_between(before, now, self.box)
        if shift is not None:
            self._move(shift, 1.0, seen=set())

    def follow(self, face: Face, time_seconds: float) -> float:
        """Move on to where the network saw the eyes; return how far off their crops were, in corner distances."""
        before = dict(self.corners)
        seen: dict[Side, FloatArray] = {}
        for eye in face.eyes:
            corners = np.stack([eye.nasal_corner, eye.temporal_corner])
            if eye.confidence < LEAST_CONFIDENCE or not corners_agree(before[eye.side], corners):
                continue
            self._sure_seconds[eye.side] = time_seconds
            is_open = eye.openness >= _OPEN_SHARE * self._eyes[eye.side].usual_openness
            if is_open:
                self._open_seconds[eye.side] = time_seconds
            elif time_seconds - self._open_seconds.get(eye.side, -np.inf) <= _PATIENCE_SECONDS:
                continue  # it blinks
            seen[eye.side] = self._without_offset(eye.side, corners, learn=is_open)
        growth, limits_px = 1.0, (1.0, np.inf)
        if len(seen) == 2:
            growth = _eye_distance(seen) / _eye_distance(before)
            limits_px = (_SIZES[0] * _eye_distance(seen), _SIZES[1] * _eye_distance(seen))
        for side, corners in seen.items():
            placing = side in self._placings and side not in self._offsets
            self.corners[side] = corners if placing else _resized(corners, before[side], growth, limits_px)
        if seen:
            moves = [_middle(seen[side]) - _middle(before[side]) for side in seen]
            self._move(sum(moves[1:], moves[0]) / len(moves), growth, set(seen))
        return max((_distance(before[side], corners) for side, corners in seen.items()), default=0.0)

    def _without_offset(self, side: Side, seen: FloatArray, *, learn: bool) -> FloatArray:
        """Return seen corners [2, 2], moved by how far off the network sees an eye that has not moved.

        It sees an eye somewhat towards where its crop is. Crops that simply followed what is seen would drift to a
        place where the two agree, and draw the gaze aside. So the first looks at an eye place its crop, the next, in
        the same frame, says what is seen from there, and from then on only what differs from that has moved. To
        `learn` that takes an open eye.
        """
        before = self.corners[side]
        way = _complex(before[1] - before[0])
        if learn and side not in self._offsets:
            if self._placings[side] == _PLACING_LOOKS:
                self._offsets[side] = _complex(seen - before) / way
            else:
                self._placings[side] += 1
        offset = self._offsets.get(side)
        if offset is None:
            return seen
        still: FloatArray = seen - np.stack([(offset * way).real, (offset * way).imag], axis=-1)
        return still

    def shown(self, face: Face, time_seconds: float) -> Face:
        """Return the face as it is to be shown, after it was followed to that time."""
        self._shown_seconds = time_seconds
        eyes = tuple(self._eyes[eye.side](eye, time_seconds) for eye in face.eyes)
        return replace(face, box=self.box, eyes=eyes, head=self._head(face.head, time_seconds), id=self.id)

    def _move(self, move: FloatArray, growth: float, seen: set[Side]) -> None:
        """Take the box, and eyes that are covered for a moment, along with those that are seen."""
        x, y = (self.box.centre + move).tolist()
        width, height = self.box.width_px * growth, self.box.height_px * growth
        self.box = Box(x - width / 2, y - height / 2, width, height)
        self._moved = self._moved + move
        for side in self.corners.keys() - seen:
            self.corners[side] = self.corners[side] + move

    def drop_eyes(self, time_seconds: float, shape: tuple[int, ...]) -> None:
        """Give up eyes that were not seen clearly for too long, or lie outside a picture of this shape."""
        for side, corners in list(self.corners.items()):
            x, y = _middle_of(corners)
            inside = 0 <= x <= shape[1] and 0 <= y <= shape[0]
            if not inside or time_seconds - self._sure_seconds[side] > _PATIENCE_SECONDS:
                del self.corners[side]


def _complex(points: FloatArray) -> npt.NDArray[np.complex128]:
    """Return points [..., 2] as complex numbers [...]."""
    return np.asarray(points[..., 0] + 1j * points[..., 1])


def _eye_distance(corners: Mapping[Side, FloatArray]) -> float:
    """Return the distance between the middles of two eyes."""
    return max(math.dist(_middle_of(corners["right"]), _middle_of(corners["left"])), 1.0)


def _middle(corners: FloatArray) -> FloatArray:
    """Return the middle [2] of two corners [2, 2]."""
    return np.array(_middle_of(corners))


def _middle_of(corners: FloatArray) -> tuple[float, float]:
    """Return the middle of two corners [2, 2] as plain numbers, with which little is done faster."""
    (x, y), (u, v) = corners.tolist()
    return (x + u) / 2, (y + v) / 2


def _length(corners: FloatArray) -> float:
    """Return the distance between two corners [2, 2]."""
    return math.dist(*corners.tolist())


def _resized(seen: FloatArray, before: FloatArray, growth: float, limits_px: tuple[float, float]) -> FloatArray:
    """Return seen corners [2, 2] about their middle, about as far apart as those before times the growth of the face.

    The network sees the middle of an eye and its slant alike in any crop, but it sees corners closer together in a
    crop that is too small, and a crop that follows them shrinks further. So the distance between the eyes says how the
    face grows, what is seen of one eye's size counts for a little only, and there are limits.
    """
    length = _length(seen)
    expected = growth * _length(before)
    wanted = min(max((1 - _SIZE_SHARE) * expected + _SIZE_SHARE * length, limits_px[0]), limits_px[1])
    middle = _middle(seen)
    resized: FloatArray = middle + (seen - middle) * (wanted / length)
    return resized


def assign(known: Sequence[Box], found: Sequence[Box]) -> list[tuple[int, int]]:
    """Return which known box is which found one, as pairs of their indices: the nearest pairs first, each box once."""
    distances = [
        (distance, first, second)
        for first, mine in enumerate(known)
        for second, other in enumerate(found)
        if (distance := _box_distance(mine, other)) <= _SAME_PLACE
    ]
    pairs: list[tuple[int, int]] = []
    for _, first, second in sorted(distances):
        if all(first != a and second != b for a, b in pairs):
            pairs.append((first, second))
    return pairs


def _box_distance(first: Box, second: Box) -> float:
    """Return how far two boxes are apart, in their mean width; infinite where they differ too much in width."""
    wide, narrow = max(first.width_px, second.width_px), min(first.width_px, second.width_px)
    if wide > _SAME_WIDTH * narrow:
        return float("inf")
    return math.dist(first.centre, second.centre) / ((wide + narrow) / 2)


def without_doubles(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks, oldest first, without those that follow the same eye as an older one."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: track.id):
        if not any(_same_eye(track, other) for other in kept):
            kept.append(track)
    return kept


def _same_eye(first: Track, second: Track) -> bool:
    return any(_distance(a, b) < _ONE_FACE for a in first.corners.values() for b in second.corners.values())


def _distance(first: FloatArray, second: FloatArray) -> float:
    """Return how far two eyes [2, 2] are apart, middle to middle, in corner distances of the second."""
    return math.dist(_middle_of(first), _middle_of(second)) / _length(second)
