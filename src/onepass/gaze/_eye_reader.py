"""Run the network: all eyes of some pictures in one pass, then again with crops placed by the previous pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.analysis import Analysis, Clock
from onepass.gaze.confidence import ConfidenceScale
from onepass.gaze.eyes import EyeCrops, corners_agree, cut_eyes
from onepass.gaze.find.faces import FoundFace, eyes_of
from onepass.gaze.fit import GAZE_METHODS, GazeMethod, fit_gaze
from onepass.gaze.geometry import FloatArray, Grey
from onepass.gaze.kappa import line_of_sight
from onepass.gaze.model import INPUT, crop_size_px, eyes_from_outputs
from onepass.gaze.result import Eye, Face, Side
from onepass.outputs import Outputs
from onepass.runtime import Session

_MAX_KAPPA_DEG = 20.0


class EyeReader:
    """Read the eyes of found faces with an ELG network."""

    def __init__(self, session: Session, scale: ConfidenceScale | None, *, gaze: GazeMethod, kappa_deg: float) -> None:
        """Use an open network.

        Args:
            session: The network.
            scale: Maps heatmap peaks to confidences; None uses the peaks themselves.
            gaze: How to compute the gaze from the landmarks: one of `GAZE_METHODS`.
            kappa_deg: Rotate each gaze towards the nose by this angle (`onepass.gaze.kappa`).

        Raises:
            UnsupportedModelError: The model is not an ELG network.
            InputError: `gaze` or `kappa_deg` is invalid.
        """
        if gaze not in GAZE_METHODS:
            raise InputError(f"gaze must be one of {', '.join(map(repr, GAZE_METHODS))}, got {gaze!r}")
        if not abs(kappa_deg) <= _MAX_KAPPA_DEG:
            raise InputError(
                f"kappa_deg must be between -{_MAX_KAPPA_DEG:g} and {_MAX_KAPPA_DEG:g} degrees, got {kappa_deg}"
            )
        self._size_px = crop_size_px(session.signature)
        self._session, self._scale = session, scale
        self._gaze, self._kappa_deg = gaze, kappa_deg

    def __call__(
        self, greys: Sequence[Grey], found: Sequence[Sequence[FoundFace]], passes: int, clock: Clock
    ) -> list[Analysis]:
        """Analyse the faces of every picture, all eyes in each pass.

        Args:
            greys: The pictures, each uint8 [H, W].
            found: The faces of each.
            passes: Number of passes, at least 1.
            clock: Counts the time of each stage; may have started earlier.

        Returns:
            One analysis per picture.
        """
        sides, corners = eyes_of([face for faces in found for face in faces])
        ends = np.cumsum([sum(len(face.sides) for face in faces) for faces in found]).tolist()
        parts = [slice(first, end) for first, end in zip([0, *ends], ends, strict=False)]
        crops, outputs, eyes = self._look(greys, parts, sides, corners, clock)
        for _ in range(1, passes if sides else 0):
            corners = _moved(corners, eyes)
            crops, outputs, eyes = self._look(greys, parts, sides, corners, clock)
        with clock.stage("decode"):
            eyes = self._refined(eyes)
        seconds = clock.shared_by(len(greys))
        return [
            Analysis(
                faces=_faces_of(faces, eyes[part]),
                crops=crops[part],
                outputs=Outputs({name: array[part] for name, array in outputs.items()}) if faces else None,
                passes=passes if faces else 0,
                seconds_by_stage=seconds,
            )
            for faces, part in zip(found, parts, strict=True)
        ]

    def _look(
        self, greys: Sequence[Grey], parts: Sequence[slice], sides: tuple[Side, ...], corners: FloatArray, clock: Clock
    ) -> tuple[EyeCrops, Mapping[str, npt.NDArray[Any]], list[Eye]]:
        """Crop all eyes, run them through the network in one pass, and decode its outputs.

        `parts` has the range of eyes of each picture.
        """
        with clock.stage("crops"):
            crops = EyeCrops.joined(
                [
                    cut_eyes(grey, corners[part], sides[part], self._size_px)
                    for grey, part in zip(greys, parts, strict=True)
                ],
                self._size_px,
            )
            batch = crops.batch()
        if not sides:
            return crops, {}, []
        with clock.stage("network"):
            outputs = self._session({INPUT: batch})
        with clock.stage("decode"):
            eyes = eyes_from_outputs(outputs, crops, self._scale)
        return crops, outputs, eyes

    def _refined(self, eyes: list[Eye]) -> list[Eye]:
        """Return the eyes of the last pass with the requested gaze method and kappa."""
        if self._gaze == "fit":
            eyes = fit_gaze(eyes)
        if self._kappa_deg:
            eyes = [replace(eye, gaze=line_of_sight(eye, self._kappa_deg)) for eye in eyes]
        return eyes


def _moved(corners: FloatArray, eyes: list[Eye]) -> FloatArray:
    """Return the corners [N, 2, 2] that the network found, or the previous ones if they moved too far."""
    pairs = [(before, eye.corners) for before, eye in zip(corners, eyes, strict=True)]
    return np.array([found if corners_agree(before, found) else before for before, found in pairs])


def _faces_of(found: Sequence[FoundFace], eyes: list[Eye]) -> tuple[Face, ...]:
    """Assign the eyes to their faces."""
    rest = iter(eyes)
    return tuple(Face(face.box, tuple(next(rest) for _ in face.sides), head=face.head) for face in found)
