"""`CascadeFinder`: find faces with the Haar cascades of OpenCV 4."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import InputError, MissingExtraError
from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.eyes import cut
from onepass.gaze.find.faces import FoundFace, check_grey, without_overlaps
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.result import Box

# Usual eye positions in the frontal face box, in box sizes from its top left corner: the subject's right, then left.
_EYE_PLACES = np.array([[0.30, 0.38], [0.70, 0.38]])
# Maximum distance of a detected eye from there, and range of its box's size, in face widths.
_EYE_REACH = 0.16
_EYE_SIZES = (0.16, 0.42)
# Plausible distances (face widths) and maximum tilt (radians) of a pair of eyes.
_PAIR_DISTANCES = (0.26, 0.60)
_PAIR_TILT_RAD = 0.5
# Minimum score of a face with no, one or both eyes detected. In scikit-image's example pictures, the true face scores
# 3.2 to 9.2 with both eyes detected; cells, cloth and coins score 0.2 to 3.5, mostly without eyes.
_MIN_SCORES = (4.0, 2.5, 0.0)
# The same in a rotated picture, where a face is less likely: with both eyes detected, true faces score 4.2 to 7.4 and
# false ones up to 2; with one eye or none, cups and engines score up to 8.
_MIN_SCORES_TILTED = (np.inf, np.inf, 3.5)
# Rare tilts are searched in smaller pictures, with this longer side.
_RARE_DEG, _RARE_SIDE_PX = 30.0, 480
# A face with fewer than two eyes detected is checked in a crop of its surroundings, where it has this width, and in the
# mirrored crop; both must give this many hits. True faces give 12 to 100 (Labeled Faces in the Wild), grass and gravel
# 4.
_CHECKED_WIDTH_PX, _LEAST_HITS = 96, 10
# Maximum distance of such a hit from the face's centre, and range of its width, in face widths.
_CHECKED_REACH, _CHECKED_SIZES = 0.25, (0.7, 1.4)
# Faces are scaled to this width for the eye cascade.
_FACE_WIDTH_PX = 200


TILTS_DEG = (0.0, 25.0, -25.0, 50.0, -50.0, 75.0, -75.0, 100.0, -100.0, 125.0, -125.0, 150.0, -150.0, 180.0)
"""Head tilts, clockwise in the picture, that the cascades search for, in this order."""


class CascadeFinder:
    """Find frontal faces and their eyes with the Haar cascades of `opencv-python-headless` 4.

    They need no download and no GPU. The cascades detect heads tilted by up to about 15 degrees. If none is found, the
    picture is rotated by one tilt after another and searched again, so pictures without a face take longest. Faces with
    different tilts are not found in the same picture. If only one eye is detected, the other is placed by symmetry; if
    none is detected, both are placed by the usual proportions of the face box. In these cases the face must also be
    detected mirrored and at other sizes. The eye positions are initial estimates: `GazeEstimator` refines them with the
    network.

    Thread-safe: concurrent calls are serialised.

    Attributes:
        name: Its name for `open_finder`.
        sees_heads: False: cascades do not provide head poses.
        tilts_deg: The tilts searched for, in this order.
    """

    sees_heads = False
    name = "cascades"

    def __init__(
        self,
        *,
        max_faces: int | None = None,
        detection_side_px: int = 800,
        min_face_px: int = 40,
        min_neighbours: int = 5,
        tilts_deg: Sequence[float] = TILTS_DEG,
    ) -> None:
        """Load the cascades.

        Args:
            max_faces: Return at most this many faces, the largest; None returns all.
            detection_side_px: Pictures with a longer side above this are scaled down to it for the search.
            min_face_px: Minimum face width, in pixels of the scaled picture.
            min_neighbours: Number of overlapping hits required for a face; more means fewer false faces but also fewer
                true ones.
            tilts_deg: Head tilts, clockwise in the picture, to try in this order until a face is found; upright is
                always first. Tilts beyond 30 degrees are searched in pictures scaled to 480 pixels.

        Raises:
            MissingExtraError: OpenCV is not installed, or has no cascades (5.x).
            InputError: A number is below 1.
        """
        numbers = {
            "max_faces": max_faces,
            "detection_side_px": detection_side_px,
            "min_face_px": min_face_px,
            "min_neighbours": min_neighbours,
        }
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        self._cv2 = optional("cv2", extra="gaze", purpose="Finding faces")
        self._max_faces = max_faces
        self._side_px = detection_side_px
        self._min_face_px = min_face_px
        self._min_neighbours = min_neighbours
        self.tilts_deg = tuple(dict.fromkeys((0.0, *tilts_deg)))
        self._face_cascade = _cascade(self._cv2, "haarcascade_frontalface_default.xml")
        self._eye_cascade = _cascade(self._cv2, "haarcascade_eye.xml")
        self._lock = threading.Lock()

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W], the largest first.

        Raises:
            InputError: It is no such array, or an empty one.
        """
        check_grey(grey)
        return next(filter(None, (self.find_tilted(grey, tilt_deg) for tilt_deg in self.tilts_deg)), [])

    def find_tilted(self, grey: Grey, tilt_deg: float) -> list[FoundFace]:
        """Return the faces in uint8 [H, W] with about this head tilt, the largest first.

        Raises:
            InputError: It is no such array, or an empty one.
        """
        check_grey(grey)
        with self._lock:
            return without_overlaps(self._tilted_faces(grey, tilt_deg))[: self._max_faces]

    def close(self) -> None:
        """Do nothing: cascades hold no resources."""

    def _tilted_faces(self, grey: Grey, tilt_deg: float) -> list[FoundFace]:
        """Return the faces with about this head tilt."""
        if tilt_deg == 0:
            return self._upright_faces(grey, _MIN_SCORES, self._side_px)
        transform, size = _turned(grey.shape, -tilt_deg)
        upright = self._cv2.warpAffine(
            grey, geometry.centred_at_zero(transform), size, borderMode=self._cv2.BORDER_REPLICATE
        )
        side_px = self._side_px if abs(tilt_deg) <= _RARE_DEG else min(self._side_px, _RARE_SIDE_PX)
        faces = self._upright_faces(upright, _MIN_SCORES_TILTED, side_px)
        return [_moved(face, geometry.invert(transform)) for face in faces]

    def _upright_faces(self, grey: Grey, min_scores: tuple[float, float, float], side_px: int) -> list[FoundFace]:
        """Return the upright faces that reach the minimum score for their number of detected eyes."""
        hits = [(box, score, self._eyes_in(grey, box)) for box, score in self._hits(grey, side_px)]
        return [
            _face(box, right, left)
            for box, score, (right, left) in hits
            if score >= min_scores[(right is not None) + (left is not None)]
            and ((right is not None and left is not None) or self._is_steady(grey, box))
        ]

    def _is_steady(self, grey: Grey, box: Box) -> bool:
        """Whether a face is also detected at other sizes and mirrored, which false faces are not."""
        zoom = _CHECKED_WIDTH_PX / box.width_px
        x, y = box.centre
        transform = np.array([[zoom, 0, _CHECKED_WIDTH_PX - zoom * x], [0, zoom, _CHECKED_WIDTH_PX - zoom * y]])
        part = cut(grey, transform, (2 * _CHECKED_WIDTH_PX, 2 * _CHECKED_WIDTH_PX))
        return all(self._hits_in_middle(each) >= _LEAST_HITS for each in (part, np.ascontiguousarray(part[:, ::-1])))

    def _hits_in_middle(self, part: Grey) -> int:
        """Return the number of face cascade hits at the centre of a crop twice as wide as the face."""
        smallest, largest = (round(size * _CHECKED_WIDTH_PX) for size in _CHECKED_SIZES)
        hits, counts = self._face_cascade.detectMultiScale2(
            part, scaleFactor=1.1, minNeighbors=1, minSize=(smallest, smallest), maxSize=(largest, largest)
        )
        reach_px = _CHECKED_REACH * _CHECKED_WIDTH_PX
        near = [
            count
            for (left, top, width, height), count in zip(hits, np.ravel(counts).tolist(), strict=True)
            if math.dist((left + width / 2, top + height / 2), (_CHECKED_WIDTH_PX, _CHECKED_WIDTH_PX)) < reach_px
        ]
        return max(near, default=0)

    def _hits(self, grey: Grey, side_px: int) -> list[tuple[Box, float]]:
        """Return all hits of the face cascade in picture pixels, with the scores of the last stage."""
        shrink = min(1.0, side_px / max(grey.shape))
        size = [max(1, round(side * shrink)) for side in grey.shape[::-1]]
        small = self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA) if shrink < 1 else grey
        hits, _, scores = self._face_cascade.detectMultiScale3(
            small,
            scaleFactor=1.1,
            minNeighbors=self._min_neighbours,
            minSize=(self._min_face_px, self._min_face_px),
            outputRejectLevels=True,
        )
        factor = [grey.shape[1] / size[0], grey.shape[0] / size[1]] * 2
        boxes = [Box(*(np.asarray(hit) * factor).tolist()) for hit in hits]
        return list(zip(boxes, np.ravel(scores).tolist(), strict=True))

    def _eyes_in(self, grey: Grey, box: Box) -> tuple[FloatArray | None, FloatArray | None]:
        """Return the positions of a face's right and left eye, [2] in box sizes; None for an eye not detected."""
        right, left = (self._eye_in(grey, box, place) for place in _EYE_PLACES)
        return _plausible_pair(right, left)

    def _eye_in(self, grey: Grey, box: Box, place: FloatArray) -> FloatArray | None:
        """Return the position of the eye near `place`, [2] in box sizes, or None if the cascade detects none."""
        corner, size = np.array([box.left_px, box.top_px]), np.array([box.width_px, box.height_px])
        reach = _EYE_REACH + _EYE_SIZES[1] / 2
        low = np.maximum(np.floor(corner + np.maximum(place - reach, 0) * size), 0).astype(int)
        high = np.ceil(corner + np.minimum(place + reach, 1) * size).astype(int)
        part, zoom = grey[low[1] : high[1], low[0] : high[0]], _FACE_WIDTH_PX / box.width_px
        shape = [max(1, round(side * zoom)) for side in part.shape[::-1]]
        part = self._cv2.resize(part, shape, interpolation=self._cv2.INTER_AREA if zoom < 1 else self._cv2.INTER_LINEAR)
        smallest, largest = (round(share * _FACE_WIDTH_PX) for share in _EYE_SIZES)
        hits, _, scores = self._eye_cascade.detectMultiScale3(
            part,
            scaleFactor=1.05,
            minNeighbors=3,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
            outputRejectLevels=True,
        )
        centres = [
            (low + np.array([x + width / 2, y + height / 2]) / zoom - corner) / size for x, y, width, height in hits
        ]
        near = [
            (score, centre)
            for score, centre in zip(np.ravel(scores).tolist(), centres, strict=True)
            if np.linalg.norm(centre - place) <= _EYE_REACH
        ]
        return max(near, key=lambda pair: pair[0])[1] if near else None


def _cascade(cv2: Any, name: str) -> Any:
    """Load a cascade from OpenCV's wheel."""
    if hasattr(cv2, "CascadeClassifier") and hasattr(cv2, "data"):
        path = Path(cv2.data.haarcascades, name)
        if path.is_file():
            return cv2.CascadeClassifier(str(path))
    raise MissingExtraError(
        f"Finding faces needs the Haar cascades of OpenCV 4, which the installed OpenCV {cv2.__version__} lacks. "
        "Install OpenCV 4 with: pip install 'opencv-python-headless>=4.8,<5'; "
        "or pass your own face finder to GazeEstimator"
    )


def _face(box: Box, right: FloatArray | None, left: FloatArray | None) -> FoundFace:
    """Return the face of a box and its detected eyes (in box sizes), with positions estimated for the missing ones."""
    if right is None and left is None:
        right, left = _EYE_PLACES
    elif right is None and left is not None:
        right = np.array([1 - left[0], left[1]])
    elif left is None and right is not None:
        left = np.array([1 - right[0], right[1]])
    corner, size = np.array([box.left_px, box.top_px]), np.array([box.width_px, box.height_px])
    return FoundFace.from_eye_centres(box, corner + right * size, corner + left * size)


def _turned(shape: tuple[int, ...], angle_deg: float) -> tuple[FloatArray, tuple[int, int]]:
    """Return the transform that rotates a picture clockwise about its centre, and the size that contains the result."""
    angle = np.radians(angle_deg)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.array(shape[::-1])
    width, height = np.ceil(np.abs(linear) @ size).astype(int).tolist()
    return np.column_stack([linear, np.array([width, height]) / 2 - linear @ (size / 2)]), (width, height)


def _moved(face: FoundFace, transform: FloatArray) -> FoundFace:
    """Return a face moved by a length-preserving transform; its box keeps its size and stays axis-aligned."""
    x, y = geometry.apply(transform, face.box.centre).tolist()
    box = Box(x - face.box.width_px / 2, y - face.box.height_px / 2, face.box.width_px, face.box.height_px)
    right, left = (
        None if corners is None else geometry.apply(transform, corners) for corners in (face.right, face.left)
    )
    return FoundFace(box, right, left)


def _plausible_pair(right: FloatArray | None, left: FloatArray | None) -> tuple[FloatArray | None, FloatArray | None]:
    """Return both eyes (in box sizes) if they form a plausible pair, otherwise the one closer to its usual position."""
    if right is None or left is None:
        return right, left
    across, down = left - right
    if _PAIR_DISTANCES[0] <= across <= _PAIR_DISTANCES[1] and abs(np.arctan2(down, across)) <= _PAIR_TILT_RAD:
        return right, left
    if np.linalg.norm(right - _EYE_PLACES[0]) <= np.linalg.norm(left - _EYE_PLACES[1]):
        return right, None
    return None, left
