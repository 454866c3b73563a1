"""Gaze on a screen, learned from a few points that the person looked at.

A calibration is a ridge regression (Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal
problems", Technometrics 1970) from gaze, head pose and eye position to screen pixels. It captures the unknowns of
person and set-up: kappa, the camera's position, the screen's distance.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass._json import parsed_json
from onepass.artifacts import replacing
from onepass.gaze.geometry import FloatArray
from onepass.gaze.result import Face
from onepass.gaze.screen._features import feature_count, features_of, mean_place
from onepass.gaze.screen._ridge import best_ridge, held_out_errors, solve
from onepass.gaze.screen.sample import POINT_COUNTS, GazeSample, Screen, of_one_size  # noqa: F401 - public names of this module

FORMAT = 1
# Samples further than this from the median of their point, in robust deviations, are outliers: the gaze was moving.
_OUTLIER = 3.5


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The error of a calibration at held-out points.

    Each point in turn is held out, a calibration is made from the rest, and its error is measured at this point.

    Attributes:
        pixels: Mean distance from the point.
        degrees: The same as seen from the eyes; None if the screen's size or distance is unknown.
        pixels_by_point: Mean distance at each point, in the order of the points.
    """

    pixels: float
    degrees: float | None
    pixels_by_point: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Maps gaze to a point on the screen. Create one with `calibrate`.

    Attributes:
        screen: The screen.
        weights: float64 [F, 2], pixels per feature; the first is the constant.
        ridge: The selected strength of the ridge.
        uses_head: Whether head poses are needed.
        place: Mean eye position: x and y in pixels, and the distance between the eyes; None if not needed.
        picture_size_px: Width and height of the pictures of these pixels, if known.
        error: Its error.
        points: Number of points.
        samples: Number of samples.
    """

    screen: Screen
    weights: FloatArray
    ridge: float
    uses_head: bool
    place: tuple[float, float, float] | None
    picture_size_px: tuple[int, int] | None
    error: CalibrationError
    points: int
    samples: int

    def __repr__(self) -> str:
        degrees = "" if self.error.degrees is None else f" ({self.error.degrees:.2f} degrees)"
        return f"Calibration({self.points} points, {self.samples} samples, error {self.error.pixels:.0f} px{degrees})"

    def __call__(self, face: Face | GazeSample, *, picture_size_px: tuple[int, int] | None = None) -> FloatArray | None:
        """Return the point on the screen, float64 [2] in pixels, possibly outside the screen.

        Return None if the face lacks required data: during a blink, with one eye only, or without a head pose.

        Args:
            face: The face.
            picture_size_px: Width and height of the picture of a `Face`. The size may differ from the calibration's,
                but not the aspect ratio.

        Raises:
            InputError: The picture's aspect ratio differs from that of the calibration.
        """
        sample = GazeSample.from_face(face, picture_size_px) if isinstance(face, Face) else face
        if sample is None or (self.uses_head and sample.head is None):
            return None
        if self.place is not None and (sample.eyes_px is None or sample.eye_distance_px is None):
            return None
        if self.place is not None:
            sample = sample.resized(self.picture_size_px)
        point: FloatArray = features_of([sample], uses_head=self.uses_head, place=self.place)[0] @ self.weights
        return point

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calibration as JSON."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values, for `from_json`."""
        return {"format": FORMAT, **asdict(self), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, content: Any) -> Calibration:
        """Return the calibration from `to_json`.

        Raises:
            InputError: The content is not a calibration of this version.
        """
        return cls._checked(content, "this")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calibration:
        """Read a calibration that `save` wrote.

        Raises:
            InputError: The file does not exist, cannot be read, or is not a calibration of this version.
        """
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the calibration {os.fspath(path)!r}: {error.strerror}") from error
        return cls._checked(text, repr(os.fspath(path)))

    @classmethod
    def _checked(cls, content: Any, name: str) -> Calibration:
        """Return the calibration from JSON values or JSON bytes."""
        try:
            return cls._from_json(parsed_json(content) if isinstance(content, bytes) else content)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise InputError(
                f"{name} is not a calibration of format {FORMAT} ({error}); create one with `onepass gaze calibrate`"
            ) from error

    @classmethod
    def _from_json(cls, content: Mapping[str, Any]) -> Calibration:
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}")
        fields = {name: value for name, value in content.items() if name != "format"}
        place, size = fields["place"], fields["picture_size_px"]
        weights = np.array(fields["weights"], np.float64)
        numbers = [fields["ridge"], fields["points"], fields["samples"], *(place or ()), *(size or ())]
        if not (np.isfinite(weights).all() and all(map(_is_finite, numbers))):
            raise ValueError("a number is missing or not finite")
        if size is not None and not (len(size) == 2 and min(size) > 0):
            raise ValueError(f"its picture_size_px is {size}")
        if fields["uses_head"] not in (True, False):
            raise ValueError("uses_head is neither true nor false")
        if weights.shape != (feature_count(uses_head=fields["uses_head"], has_place=place is not None), 2):
            raise ValueError(f"its weights are {list(weights.shape)}")
        error = CalibrationError(**{**fields["error"], "pixels_by_point": tuple(fields["error"]["pixels_by_point"])})
        degrees = () if error.degrees is None else (error.degrees,)
        if not all(map(_is_finite, (error.pixels, *degrees, *error.pixels_by_point))):
            raise ValueError("a number of its error is missing or not finite")
        return cls(
            **{
                **fields,
                "screen": Screen(**fields["screen"]),
                "weights": weights,
                "place": None if place is None else (place[0], place[1], place[2]),
                "picture_size_px": None if size is None else (size[0], size[1]),
                "error": error,
            }
        )


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def calibrate(samples: Sequence[GazeSample], targets_px: npt.ArrayLike, screen: Screen) -> Calibration:
    """Learn the mapping from gaze to a screen.

    Outliers, whose gaze is far from the others' at the same point, are dropped. Head pose and eye position are used if
    all samples have them.

    Args:
        samples: Samples while the person looked at points on the screen: at least three points, not on one line.
        targets_px: float [N, 2], the point of each sample, in screen pixels.
        screen: The screen.

    Raises:
        InputError: There are too few points or samples, their numbers differ, a point is outside the screen, or the
            samples come from incompatible pictures.
    """
    targets = np.asarray(targets_px, np.float64)
    if targets.shape != (len(samples), 2) or not np.isfinite(targets).all():
        raise InputError(f"{len(samples)} samples need finite targets [{len(samples)}, 2], got {list(targets.shape)}")
    beside = targets[((targets < 0) | (targets > (screen.width_px, screen.height_px))).any(axis=1)]
    if len(beside):
        raise InputError(
            f"the point ({beside[0, 0]:g}, {beside[0, 1]:g}) is outside the screen of {screen.width_px} x "
            f"{screen.height_px} pixels, as are {len(beside)} of {len(targets)} points; the origin is the screen's "
            "upper left corner. Specify the screen that the person looked at"
        )
    _, point_of = np.unique(targets, axis=0, return_inverse=True)
    point_of = point_of.ravel()
    keep = _without_outliers(samples, point_of)
    samples, targets, point_of = [samples[index] for index in keep], targets[keep], point_of[keep]
    points = len(np.unique(point_of))
    if points < 3 or np.linalg.matrix_rank(targets - targets.mean(axis=0), tol=1.0) < 2:
        raise InputError(f"a calibration needs at least 3 points that are not on one line, got {points} points")
    uses_head = all(sample.head is not None for sample in samples)
    samples, picture_size_px = of_one_size(samples)
    place = mean_place(samples)
    features = features_of(samples, uses_head=uses_head, place=place)
    ridge = best_ridge(features, targets, point_of)
    by_point = held_out_errors(features, targets, point_of)
    # In the order of the points.
    _, first = np.unique(point_of, return_index=True)
    ordered = tuple(by_point[index] for index in np.argsort(first))
    pixels = float(np.mean(ordered))
    return Calibration(
        screen=screen,
        weights=solve(features, targets, ridge),
        ridge=ridge,
        uses_head=uses_head,
        place=place,
        picture_size_px=picture_size_px,
        error=CalibrationError(pixels, screen.degrees(pixels), ordered),
        points=points,
        samples=len(samples),
    )


def _without_outliers(samples: Sequence[GazeSample], point_of: npt.NDArray[np.intp]) -> list[int]:
    """Return the indices of samples whose gaze is close to the median of their point."""
    angles = np.array([[sample.gaze.pitch_rad, sample.gaze.yaw_rad] for sample in samples]).reshape(-1, 2)
    kept = []
    for point in np.unique(point_of):
        mine = np.flatnonzero(point_of == point)
        distances = np.linalg.norm(angles[mine] - np.median(angles[mine], axis=0), axis=1)
        limit = _OUTLIER * 1.4826 * np.median(distances)
        kept += mine[distances <= limit].tolist()
    return sorted(kept)
