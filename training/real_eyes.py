"""Errors on labelled pictures of real eyes, in per cent of the eye-corner distance."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]
LandmarkFinder = Callable[[NDArray[np.float32]], Array]
"""Network input ``[1, 1, H, W]`` to landmarks ``[18, 2]`` in input pixels."""

EYES_VARIABLE = "ONEPASS_DEV_EYES"
_DEFAULT_EYES = Path(__file__).resolve().parent.parent.parent / "shared" / "gaze" / "dev_eyes.npz"
CORNER_DISTANCE_PX = 100
"""Between the eye corners on every canvas, so that pixels of the canvas are per cent."""
_CANVAS_CENTRE_PX = (120.0, 80.0)
_CROP_WIDTH_PX = 150.0
_CURVE_POINTS = 64
_MASK_SCALE = 3
_MASK_SIZE = (480, 720)
_MEASURES = ("iris", "edge", "lid", "iou")
_CANVAS_SIZE_PX = (160, 240)
_LABEL_SHAPES: dict[str, tuple[int, ...]] = {
    "lid": (16, 2), "iris_mesh": (5, 2), "iris_ref": (5, 2), "is_ref": (), "picture": ()
}  # fmt: skip


@dataclass(frozen=True)
class LabelledEyes:
    """Eye canvases: levelled, nasal corner at (70, 80), temporal corner at (170, 80).

    Attributes:
        eye: uint8 ``[N, 160, 240]``.
        lid: ``[N, 16, 2]``, outline between the lids, canvas pixels.
        iris_mesh: ``[N, 5, 2]``, centre and four edge points, of every eye.
        iris_ref: ``[N, 5, 2]``, a better measurement where ``is_ref``.
        is_ref: bool ``[N]``.
        picture: ``[N]``, what the eyes of one picture share.
    """

    eye: Picture
    lid: Array
    iris_mesh: Array
    iris_ref: Array
    is_ref: NDArray[np.bool_]
    picture: NDArray[np.str_]


def default_eyes() -> Path:
    """Labelled eyes: the variable ``ONEPASS_DEV_EYES``, or a file beside the checkout."""
    return Path(os.environ.get(EYES_VARIABLE) or _DEFAULT_EYES)


def read_eyes(path: Path) -> LabelledEyes:
    """Read canvases and labels from an ``.npz`` file.

    Raises:
        ValueError: it is no such file, lacks an array, or holds one of another shape or kind.
    """
    try:
        with np.load(path) as data:
            arrays = {name: data[name] for name in ("eye", *_LABEL_SHAPES)}
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:  # TypeError: a single array
        wanted = ", ".join(("eye", *_LABEL_SHAPES))
        raise ValueError(f"{path} is no .npz file with the arrays {wanted}: {error}") from error
    eye = arrays["eye"]
    if eye.dtype != np.uint8 or eye.ndim != 3 or eye.shape[1:] != _CANVAS_SIZE_PX:
        raise ValueError(f"{path}: eye must be uint8 [N, 160, 240], got {eye.dtype} {list(eye.shape)}")
    for name, shape in _LABEL_SHAPES.items():
        if arrays[name].shape != (len(eye), *shape):
            raise ValueError(f"{path}: {name} must be {[len(eye), *shape]}, got {list(arrays[name].shape)}")
    return LabelledEyes(**{**arrays, "is_ref": arrays["is_ref"].astype(bool)})


@dataclass(frozen=True)
class CropError:
    """How wrong the crop is, as a face finder would be: normal deviations in corner distances and as a factor."""

    shift: float = 0.0
    scale: float = 0.0


def measure_eyes(
    find: LandmarkFinder,
    size: tuple[int, int],
    eyes: LabelledEyes,
    *,
    crop_error: CropError = CropError(),
    corner_distance_px: float | None = None,
) -> dict[str, float]:
    """Measure a network on labelled eyes.

    Args:
        find: the network, one eye at a time.
        size: its input's height and width.
        eyes: what to measure on.
        crop_error: shift and scale the crops by random amounts (always the same ones).
        corner_distance_px: first shrink the pictures to this eye-corner distance and enlarge them again.

    Returns:
        Means, medians and 90th percentiles: ``ref_*`` over the large eyes with the better iris, ``all_*`` over all.
        ``iris`` is the mean of the 8 edge points against the centre, ``edge`` and ``lid`` are point to curve, ``iou``
        is that of the polygon between the lids, in per cent.
    """
    errors: dict[str, dict[str, list[float]]] = {tag: {name: [] for name in _MEASURES} for tag in ("ref", "all")}
    found = find_on_canvases(find, size, eyes, crop_error=crop_error, corner_distance_px=corner_distance_px)
    for index, landmarks in enumerate(found):
        lid = np.asarray(eyes.lid[index], np.float64)
        for tag, iris in (("ref", eyes.iris_ref[index]), ("all", eyes.iris_mesh[index])):
            if tag == "ref" and not eyes.is_ref[index]:
                continue
            for name, value in _eye_errors(landmarks, lid, np.asarray(iris, np.float64)).items():
                errors[tag][name].append(value)
    return _summary(errors)


def find_on_canvases(
    find: LandmarkFinder,
    size: tuple[int, int],
    eyes: LabelledEyes,
    *,
    crop_error: CropError = CropError(),
    corner_distance_px: float | None = None,
) -> Iterator[Array]:
    """Yield the landmarks ``[18, 2]`` of each eye in canvas pixels; the arguments are those of ``measure_eyes``."""
    random = np.random.default_rng(0)
    for canvas in eyes.eye:
        width_px = _CROP_WIDTH_PX * (1 + crop_error.scale * random.normal())
        centre = np.array(_CANVAS_CENTRE_PX) + CORNER_DISTANCE_PX * crop_error.shift * random.normal(size=2)
        picture = canvas if corner_distance_px is None else _shrunk(canvas, corner_distance_px / CORNER_DISTANCE_PX)
        yield _find_on_canvas(find, picture, size, width_px, centre)


def _shrunk(canvas: Picture, factor: float) -> Picture:
    """The canvas as a coarser picture would show it, everything in its place."""
    height, width = canvas.shape
    # In whole pixels: with factors (fx, fy) OpenCV rounds the size but not the scale, and the way back shifts the eye.
    coarse = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(canvas, coarse, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _find_on_canvas(
    find: LandmarkFinder, canvas: Picture, size: tuple[int, int], width_px: float, centre_px: Array
) -> Array:
    """Cut a crop of ``width_px`` around ``centre_px`` and run the network: landmarks ``[18, 2]``, canvas pixels."""
    height, width = size
    corner = centre_px - np.array([width_px, width_px * height / width]) / 2
    scale = width / width_px
    oversampling = 4 if scale < 1 else 1  # then averaged over areas, so that shrinking does not alias
    fine = scale * oversampling
    matrix = np.array([[fine, 0, -corner[0] * fine + (fine - 1) / 2], [0, fine, -corner[1] * fine + (fine - 1) / 2]])
    crop = cv2.warpAffine(
        canvas,
        matrix,
        (width * oversampling, height * oversampling),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if oversampling > 1:
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(find(eye_from_crop(np.asarray(crop, np.uint8)))) / scale + corner


def eye_from_crop(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a network takes, float32 ``[1, 1, H, W]`` in -1..1, of a grey crop, uint8 ``[H, W]``."""
    eye: NDArray[np.float32] = cv2.equalizeHist(crop).astype(np.float32) * (2 / 255) - 1
    return eye[None, None]


def _eye_errors(landmarks: Array, lid: Array, iris: Array) -> dict[str, float]:
    """The four measures of one eye; all points in canvas pixels."""
    lids, edge = landmarks[:8], landmarks[8:16]
    return {
        "iris": float(np.linalg.norm(edge.mean(0) - iris[0])),
        "edge": float(distances_to_curve(edge, ellipse_from_iris(iris)).mean()),
        "lid": float(distances_to_curve(lids, lid).mean()),
        "iou": 100 * overlap(lids, lid),
    }


def distances_to_curve(points: Array, curve: Array) -> Array:
    """Distance of each point ``[K, 2]`` to a closed polygon ``[M, 2]``, ``[K]``."""
    side = np.roll(curve, -1, 0) - curve
    along = ((points[:, None] - curve) * side).sum(-1) / np.maximum((side**2).sum(-1), 1e-9)
    nearest = curve + np.clip(along, 0, 1)[..., None] * side
    return np.asarray(np.sqrt(((nearest - points[:, None]) ** 2).sum(-1)).min(1))


def overlap(first: Array, second: Array) -> float:
    """Intersection over union of two polygons on the canvas, 0..1."""
    masks = np.zeros((2, *_MASK_SIZE), np.uint8)
    for mask, polygon in zip(masks, (first, second), strict=True):
        cv2.fillPoly(mask, [np.round(polygon * _MASK_SCALE).astype(np.int32)], (1,))
    return float((masks[0] & masks[1]).sum() / max(1, (masks[0] | masks[1]).sum()))


def ellipse_from_iris(iris: Array) -> Array:
    """Polygon ``[64, 2]`` of the ellipse through a centre and four edge points ``[5, 2]``."""
    half_a, half_b = 0.5 * np.linalg.norm(iris[1] - iris[3]), 0.5 * np.linalg.norm(iris[2] - iris[4])
    axis = (iris[1] - iris[3]) / (2 * half_a + 1e-9)
    normal = np.array([-axis[1], axis[0]])
    angle = np.linspace(0, 2 * np.pi, _CURVE_POINTS, endpoint=False)[:, None]
    return np.asarray(iris[0] + half_a * np.cos(angle) * axis + half_b * np.sin(angle) * normal)


def _summary(errors: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    row: dict[str, float] = {}
    for tag, measures in errors.items():
        for name in _MEASURES:
            row[f"{tag}_{name}"] = round(float(np.mean(measures[name])), 2)
        row[f"{tag}_iris_median"] = round(float(np.median(measures["iris"])), 2)
        row[f"{tag}_iris_p90"] = round(float(np.percentile(measures["iris"], 90)), 2)
    return row
