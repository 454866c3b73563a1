"""`MeshFinder`: find faces, eye corners and head poses with MediaPipe's BlazeFace and FaceMesh networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError, UnsupportedModelError
from onepass._optional import optional
from onepass.gaze import geometry
from onepass.gaze.eyes import cut
from onepass.gaze.find._ssd import anchors_of, decode, merge, windows_of
from onepass.gaze.find.faces import FoundFace, check_grey, without_overlaps
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.head import head_from_mesh
from onepass.gaze.result import Box
from onepass.runtime import Session

# BlazeFace's values per anchor: the box and six points, of which the first two are the right and the left eye.
_NUMBERS = 4 + 2 * 6
_RIGHT_EYE, _LEFT_EYE = 2, 3
_LEAST_SCORE = 0.5
_SAME_FACE = 0.3
# Number of FaceMesh's points, and indices of the eye corners, nasal and temporal.
_MESH_POINTS = 468
_RIGHT_CORNERS, _LEFT_CORNERS = (133, 33), (362, 263)
# FaceMesh's input is a square this many times as large as the box, rotated so that the eyes are level.
_MESH_SCALE = 1.5
_LEAST_PRESENCE = 0.5
# Presence logits: true faces have 10 to 40, an upright mesh on an upside-down head up to 6. Below this, the square is
# rotated to try other tilts.
_SURE_LOGIT = 12.0
_TURNS_DEG = (0.0, 180.0, 90.0, 270.0)
# A mesh rotated by more than this in its square is computed again, at most this many times.
_ASKEW_DEG = 5.0
_MORE_LOOKS = 3


class MeshFinder:
    """Find faces with BlazeFace, and 468 points of each with FaceMesh, which give eye corners and head pose.

    BlazeFace (Bazarevsky et al., "BlazeFace: sub-millisecond neural face detection on mobile GPUs", 2019) processes the
    whole picture, FaceMesh (Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs",
    2019) a single face. ``onepass gaze models fetch`` fetches both networks, `open_finder` opens them. They were
    trained on colour pictures, but get grey ones here.

    Heads are found at any tilt: if no face is found, the picture is searched again upside down, and an uncertain mesh
    is tried at other rotations.

    It also follows faces: a mesh defines the square for the mesh of the next frame.

    It is as thread-safe as its sessions.

    Attributes:
        name: Its name for `open_finder`.
        sees_heads: True: the mesh gives the head pose.
    """

    sees_heads = True
    name = "mesh"

    def __init__(self, detector: Session, mesh: Session, *, max_faces: int | None = None) -> None:
        """Use two open networks.

        Args:
            detector: BlazeFace: input float32 [1, S, S, 3], outputs "boxes" [1, 896, 16] and "scores" [1, 896, 1].
            mesh: FaceMesh: input float32 [1, S, S, 3], outputs "points" with 468 x 3 values and "presence" with one.
            max_faces: Return at most this many faces, the largest; None returns all.

        Raises:
            UnsupportedModelError: A network has other inputs or outputs.
            InputError: `max_faces` is below 1.
        """
        if max_faces is not None and max_faces < 1:
            raise InputError(f"max_faces must be at least 1, got {max_faces}")
        cv2 = optional("cv2", extra="gaze", purpose="Finding faces")
        self._sessions = detector, mesh
        self._detect, self._mesh = _Detector(detector, cv2), _Mesh(mesh, cv2)
        self._max_faces = max_faces

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W], the largest first.

        Raises:
            InputError: It is no such array, or an empty one.
        """
        check_grey(grey)
        faces = self._found(grey)
        if not faces:
            height, width = grey.shape
            over = self._found(np.ascontiguousarray(grey[::-1, ::-1]))
            meshes = [face.mesh for face in over if face.mesh is not None]
            faces = [_face(mesh * (-1, -1, 1) + (width, height, 0)) for mesh in meshes]
        return without_overlaps(faces)[: self._max_faces]

    def _found(self, grey: Grey) -> list[FoundFace]:
        """Return all faces with a mesh."""
        squares = [_square_around(face[:2], face[_RIGHT_EYE], face[_LEFT_EYE]) for face in self._detect(grey)]
        faces = [self._in_any_turn(grey, square) for square in squares]
        return [face for face in faces if face is not None]

    def _in_any_turn(self, grey: Grey, square: FloatArray) -> FoundFace | None:
        """Return the face in a square, at any rotation.

        BlazeFace finds heads at any tilt, but treats upside-down heads as upright.
        """
        best: FoundFace | None = None
        best_logit, best_square = -math.inf, square
        for turn_deg in _TURNS_DEG:
            turned = _turned(square, turn_deg)
            face, logit = self._mesh.seen(grey, turned)
            if logit > best_logit:
                best, best_logit, best_square = face, logit, turned
            if logit >= _SURE_LOGIT:
                break
        # The mesh of a face that is rotated in its square is only partly aligned with it: iterate from that mesh.
        for _ in range(_MORE_LOOKS):
            if best is None or best.mesh is None:
                break
            better = _square_around_mesh(best.mesh)
            if _tilt_between_deg(best_square, better) < _ASKEW_DEG:
                break
            again, logit = self._mesh.seen(grey, better)
            if again is None:
                break
            best, best_square = again, better
        return best

    def follow(self, grey: Grey, faces: Sequence[FoundFace], /) -> list[FoundFace | None]:
        """Return each face of the previous frame as found in this one, uint8 [H, W]; None for a face that is gone.

        Raises:
            InputError: It is no such array, or an empty one.
        """
        check_grey(grey)
        return [None if face.mesh is None else self._mesh(grey, _square_around_mesh(face.mesh)) for face in faces]

    def close(self) -> None:
        """Close both networks."""
        for session in self._sessions:
            session.close()


class _Detector:
    """The BlazeFace network."""

    def __init__(self, session: Session, cv2: Any) -> None:
        self._cv2, self._session = cv2, session
        self._input, self._side_px = _square_input(session)
        self._anchors = anchors_of(self._side_px)
        _check_outputs(session, {"boxes": len(self._anchors) * _NUMBERS, "scores": len(self._anchors)})

    def __call__(self, grey: Grey) -> FloatArray:
        """Return box corners and points of each face, float64 [N, 8, 2] in picture pixels, highest score first."""
        points, scores = zip(*(self._seen_in(grey, window) for window in windows_of(grey.shape)), strict=True)
        return merge(np.concatenate(points), np.concatenate(scores), _SAME_FACE)

    def _seen_in(self, grey: Grey, window: tuple[slice, slice]) -> tuple[FloatArray, FloatArray]:
        """Return box corners and points in picture pixels, and scores, of all detections in a part of a picture."""
        picture, transform = self._fitted(grey[window])
        outputs = self._session({self._input: picture})
        points, scores = decode(outputs["boxes"][0], outputs["scores"].ravel(), self._anchors, _LEAST_SCORE)
        rows, columns = window
        there = np.column_stack([np.eye(2), (columns.start, rows.start)])
        return geometry.apply(geometry.compose(there, geometry.invert(transform)), points), scores

    def _fitted(self, grey: Grey) -> tuple[npt.NDArray[np.float32], FloatArray]:
        """Return the network's input, the picture centred in a black square, and the transform to it."""
        shrink = self._side_px / max(grey.shape)
        height, width = (max(1, round(side * shrink)) for side in grey.shape)
        left, top = (self._side_px - width) // 2, (self._side_px - height) // 2
        way = self._cv2.INTER_AREA if shrink < 1 else self._cv2.INTER_LINEAR
        square = np.full((self._side_px, self._side_px), -1, np.float32)
        small = self._cv2.resize(grey, (width, height), interpolation=way)
        square[top : top + height, left : left + width] = small.astype(np.float32) / 127.5 - 1
        scale = width / grey.shape[1], height / grey.shape[0]
        return _in_three_colours(square, self._cv2), np.array([[scale[0], 0, left], [0, scale[1], top]])


class _Mesh:
    """The FaceMesh network."""

    def __init__(self, session: Session, cv2: Any) -> None:
        self._cv2, self._session = cv2, session
        self._input, self._side_px = _square_input(session)
        _check_outputs(session, {"points": 3 * _MESH_POINTS, "presence": 1})

    def __call__(self, grey: Grey, square: FloatArray) -> FoundFace | None:
        """Return the face in a square, given as the transform to the unit square; None if there is none."""
        return self.seen(grey, square)[0]

    def seen(self, grey: Grey, square: FloatArray) -> tuple[FoundFace | None, float]:
        """Return the same, and the presence logit."""
        transform = np.array([[self._side_px], [self._side_px]]) * square
        crop = cut(grey, transform, (self._side_px, self._side_px))
        picture = _in_three_colours(crop.astype(np.float32) / np.float32(255), self._cv2)
        outputs = self._session({self._input: picture})
        logit = float(outputs["presence"].ravel()[0])
        if logit < np.log(_LEAST_PRESENCE / (1 - _LEAST_PRESENCE)):
            return None, logit
        mesh = outputs["points"].reshape(_MESH_POINTS, 3).astype(np.float64)
        back = geometry.invert(transform)
        flat = geometry.apply(back, mesh[:, :2])
        # The network's depth is in pixels of its input.
        return _face(np.column_stack([flat, mesh[:, 2] * geometry.scale_of(back)])), logit


def _face(mesh: FloatArray) -> FoundFace:
    """Return the face of a mesh [468, 3] in picture pixels."""
    flat = mesh[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    return FoundFace(
        Box(*low.tolist(), *(high - low).tolist()),
        flat[list(_RIGHT_CORNERS)],
        flat[list(_LEFT_CORNERS)],
        head=head_from_mesh(mesh),
        mesh=mesh,
    )


def _square_around(corners: FloatArray, right_eye: FloatArray, left_eye: FloatArray) -> FloatArray:
    """Return the transform [2, 3] to the unit square from the square around a box, aligned with the eyes."""
    along = left_eye - right_eye
    length = float(np.linalg.norm(along))
    axis = along / length if length else np.array([1.0, 0.0])
    side_px = _MESH_SCALE * max(float(np.max(corners[1] - corners[0])), 1.0)
    linear = np.array([axis, [-axis[1], axis[0]]]) / side_px
    return np.column_stack([linear, 0.5 - linear @ corners.mean(axis=0)])


def _turned(square: FloatArray, turn_deg: float) -> FloatArray:
    """Return the transform to the unit square from the same square, rotated about its centre."""
    angle = math.radians(turn_deg)
    linear = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return geometry.compose(np.column_stack([linear, 0.5 - linear @ (0.5, 0.5)]), square)


def _tilt_between_deg(first: FloatArray, second: FloatArray) -> float:
    """Return the angle between two squares, given as their transforms, 0 to 180."""
    (a, b), (c, d) = first[0, :2].tolist(), second[0, :2].tolist()
    return abs(math.degrees(math.atan2(a * d - b * c, a * c + b * d)))


def _square_around_mesh(mesh: FloatArray) -> FloatArray:
    """Return the same for the square around a mesh [468, 3]."""
    flat = mesh[:, :2]
    right, left = flat[list(_RIGHT_CORNERS)].mean(axis=0), flat[list(_LEFT_CORNERS)].mean(axis=0)
    return _square_around(np.stack([flat.min(axis=0), flat.max(axis=0)]), right, left)


def _in_three_colours(square: npt.NDArray[np.float32], cv2: Any) -> npt.NDArray[np.float32]:
    """Return a grey square as RGB input, float32 [1, S, S, 3]."""
    colours: npt.NDArray[np.float32] = cv2.cvtColor(square, cv2.COLOR_GRAY2RGB)
    return colours[None]


def _square_input(session: Session) -> tuple[str, int]:
    """Return name and side of a network's single input, a square RGB picture."""
    inputs = session.signature.inputs
    shape = inputs[0].shape if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or not isinstance(shape[1], int):
        raise UnsupportedModelError(f"expected one input float32 [1, S, S, 3]; the model has\n{session.signature}")
    return inputs[0].name, shape[1]


def _check_outputs(session: Session, numbers: dict[str, int]) -> None:
    """Check that a network has these outputs, with the given numbers of values."""
    shapes = {spec.name: spec.shape for spec in session.signature.outputs}
    for name, count in numbers.items():
        shape = shapes.get(name)
        sizes = [size for size in shape or () if isinstance(size, int)]
        if shape is None or len(sizes) < len(shape) or math.prod(sizes) != count:
            raise UnsupportedModelError(
                f"expected an output {name!r} of {count} values; the model has\n{session.signature}"
            )
