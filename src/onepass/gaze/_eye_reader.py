"""The network at work: all eyes of some pictures in one pass, and again with crops placed by what the pass found."""

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
    """Reads the eyes of faces that were found, with one ELG network."""

    def __init__(self, session: Session, scale: ConfidenceScale | None, *, gaze: GazeMethod, kappa_deg: float) -> None:
        """Use a network that is open.

        Args:
            session: The network.
            scale: What the peaks of its heatmaps are worth; None takes them as they are.
            gaze: How the gaze is read off the landmarks: one of `GAZE_METHODS`.
            kappa_deg: Turn each gaze so far towards the nose (`onepass.gaze.kappa`).

        Raises:
            UnsupportedModelError: It is no ELG network.
            InputError: `gaze` or `kappa_deg` is none that there is.
        """
        if gaze not in GAZE_METHODS:
            raise InputError(f"gaze must be one of {', '.join(map(repr, GAZE_METHODS))}, got {gaze!r}")
        if not abs(kappa_deg) <= _MAX_KAPPA_DEG:
            raise InputError(f"kappa_deg must lie within {_MAX_KAPPA_DEG:g} degrees of 0, got {kappa_deg}")
        self._size_px = crop_size_px(session.signature)
        self._session, self._scale = session, scale
        self._gaze, self._kappa_deg = gaze, kappa_deg

    def __call__(
        self, greys: Sequence[Grey], found: Sequence[Sequence[FoundFace]], passes: int, clock: Clock
    ) -> list[Analysis]:
        """Look at the faces of every picture, all eyes in each pass.

        Args:
            greys: The pictures, each uint8 [H, W].
            found: The faces of each.
            passes: How often to look, at least 1.
            clock: Is told how long it takes; it may have begun before.

        Returns:
            One analysis a picture.
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
        """Cut all eyes, run them through the network in one pass, and read its outputs.

        `parts` says for each picture which of the eyes are its own.
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
        """Return the eyes of the last pass with their gaze as it was asked for."""
        if self._gaze == "fit":
            eyes = fit_gaze(eyes)
        if self._kappa_deg:
            eyes = [replace(eye, gaze=line_of_sight(eye, self._kappa_deg)) for eye in eyes]
        return eyes


def _moved(corners: FloatArray, eyes: list[Eye]) -> FloatArray:
    """Return the corners [N, 2, 2] that the network found, or the former ones where it went too far."""
    pairs = [(before, eye.corners) for before, eye in zip(corners, eyes, strict=True)]
    return np.array([found if corners_agree(before, found) else before for before, found in pairs])


def _faces_of(found: Sequence[FoundFace], eyes: list[Eye]) -> tuple[Face, ...]:
    """Give every face its eyes back."""
    rest = iter(eyes)
    return tuple(Face(face.box, tuple(next(rest) for _ in face.sides), head=face.head) for face in found)
