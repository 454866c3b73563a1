"""`DlibFinder`: find faces and eye corners with dlib."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from onepass._errors import InputError, MissingExtraError
from onepass._optional import optional
from onepass._packages import install_command
from onepass.gaze.find.faces import FoundFace, check_grey, without_overlaps
from onepass.gaze.geometry import Grey
from onepass.gaze.result import Box

_PURPOSE = "Finding faces with dlib"
_PREDICTOR = "shape_predictor_5_face_landmarks.dat"
# Its five points: temporal and nasal corner of the subject's left eye, the same of the right eye, base of the nose.
_LEFT, _RIGHT = (1, 0), (3, 2)


class DlibFinder:
    """Find frontal faces with dlib's HOG detector, and their eye corners with its five-point predictor.

    It finds more faces than the other finders and is the slowest. The detector follows Dalal and Triggs ("Histograms of
    oriented gradients for human detection", CVPR 2005), the predictor Kazemi and Sullivan ("One millisecond face
    alignment with an ensemble of regression trees", CVPR 2014). Both are installed with the extra ``dlib``.

    Thread-safe: concurrent calls are serialised.

    Attributes:
        name: Its name for `open_finder`.
        sees_heads: False: five points do not determine a head pose.
    """

    sees_heads = False
    name = "dlib"

    def __init__(self, *, max_faces: int | None = None, detection_side_px: int = 800) -> None:
        """Load the detector and the predictor.

        Args:
            max_faces: Return at most this many faces, the largest; None returns all.
            detection_side_px: Pictures with a longer side above this are scaled down to it for the search. Faces need
                about 80 pixels there.

        Raises:
            MissingExtraError: dlib or its models are not installed.
            InputError: A number is below 1.
        """
        for name, number in {"max_faces": max_faces, "detection_side_px": detection_side_px}.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        self._dlib = optional("dlib", extra="dlib", purpose=_PURPOSE)
        self._cv2 = optional("cv2", extra="gaze", purpose=_PURPOSE)
        self._detector = self._dlib.get_frontal_face_detector()
        self._predictor = self._dlib.shape_predictor(str(_predictor_path()))
        self._max_faces, self._side_px = max_faces, detection_side_px
        self._lock = threading.Lock()

    def __call__(self, grey: Grey, /) -> list[FoundFace]:
        """Return the faces in uint8 [H, W], the largest first.

        Raises:
            InputError: It is no such array, or an empty one.
        """
        check_grey(grey)
        shrink = min(1.0, self._side_px / max(grey.shape))
        size = [max(1, round(side * shrink)) for side in grey.shape[::-1]]
        small = np.ascontiguousarray(
            self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA) if shrink < 1 else grey
        )
        scale = np.array(grey.shape[::-1]) / size
        with self._lock:
            faces = [self._face(small, hit, scale) for hit in self._detector(small, 0)]
        return without_overlaps(faces)[: self._max_faces]

    def close(self) -> None:
        """Do nothing: dlib holds no resources."""

    def _face(self, small: Grey, hit: object, scale: np.ndarray[tuple[int], np.dtype[np.float64]]) -> FoundFace:
        """Return the face of one hit, scaled from the searched picture to the given one."""
        shape = self._predictor(small, hit)
        # dlib has pixel centres at x.0.
        points = (np.array([(point.x, point.y) for point in shape.parts()]) + 0.5) * scale
        rectangle = shape.rect
        low = np.array([rectangle.left(), rectangle.top()]) * scale
        size = np.array([rectangle.width(), rectangle.height()]) * scale
        return FoundFace(Box(*low.tolist(), *size.tolist()), points[list(_RIGHT)], points[list(_LEFT)])


def _predictor_path() -> Path:
    """Return the path of the predictor in the package with dlib's models, without importing the package.

    The package imports a module that newer versions of setuptools no longer have.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder, "models", _PREDICTOR)).is_file():
            return path
    raise MissingExtraError(
        f"{_PURPOSE} needs {_PREDICTOR} from the package face_recognition_models, which is not installed. "
        f"Install it with: {install_command('dlib')}"
    )
