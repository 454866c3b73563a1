"""From a picture to faces with eyes and gaze: find faces, cut eyes, one pass over all of them, read the outputs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.eyes import EyeCrops, cut_eyes, grey_from_picture
from onepass.gaze.faces import CascadeFinder, FaceFinder, FoundFace, Grey
from onepass.gaze.geometry import FloatArray
from onepass.gaze.model import INPUT, crop_size_px, eyes_from_outputs, open_model
from onepass.gaze.result import Eye, Face, Side
from onepass.media import Picture, check_picture
from onepass.outputs import Outputs
from onepass.runtime import Session

# How far a corner may move from one pass to the next, in corner distances. Further means that the crop showed no eye,
# and a crop placed by that answer would be worse than the one before.
_MAX_MOVE = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that one look at a picture gave.

    Attributes:
        faces: The faces, in the finder's order.
        crops: What the last pass was given; its eyes are those of `faces`, face by face.
        outputs: All outputs of the last pass by name, or None where there was no face and so no pass.
        passes: How many passes there were; none without a face.
        seconds_by_stage: Time spent in "grey", "faces", "crops", "network" and "decode", all passes together; of
            pictures that were analysed together, the share of each.
    """

    faces: tuple[Face, ...]
    crops: EyeCrops
    outputs: Outputs | None
    passes: int
    seconds_by_stage: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Time of all stages together."""
        return sum(self.seconds_by_stage.values())

    @property
    def pass_seconds(self) -> float:
        """Mean time of one pass of the network over all eyes; 0 without a face."""
        return self.seconds_by_stage["network"] / self.passes if self.passes else 0.0


class GazeEstimator:
    """Eyelids, irises and gaze of every face in a picture.

    Example::

        with GazeEstimator.from_default() as estimator:
            for face in estimator(picture):
                print(face.gaze.pitch_deg, face.gaze.yaw_deg)

    A face finder gives the corners of the eyes only roughly, so the network looks more than once: each pass cuts the
    crops anew between the corners that the pass before found. One pass always holds all eyes of the picture, or of many
    pictures (`analyse_many`). Where corners are off by a tenth of the eye, two looks at one eye differ by 5 degrees
    after one pass, by 3 after two.

    As thread-safe as its parts: `CascadeFinder` and `Session` both are.
    """

    def __init__(self, session: Session, finder: FaceFinder, *, passes: int = 2) -> None:
        """Put an estimator together.

        Args:
            session: An open ELG network. It stays the caller's, who closes it.
            finder: What finds faces.
            passes: How often the network looks at each picture, at least 1. The second pass corrects the finder; more
                change little.

        Raises:
            UnsupportedModelError: The session's model is no ELG network.
            InputError: `passes` is below 1.
        """
        if passes < 1:
            raise InputError(f"passes must be at least 1, got {passes}")
        self._size_px = crop_size_px(session.signature)
        self._session = session
        self._finder = finder
        self._passes = passes
        self._owns_session = False

    @classmethod
    def from_default(
        cls,
        model: str | os.PathLike[str] = "default",
        *,
        finder: FaceFinder | None = None,
        passes: int = 2,
    ) -> GazeEstimator:
        """Open a model and return an estimator that closes it.

        Args:
            model: "default" or "small" for the packaged weights, or the path of a model.
            finder: What finds faces; None for a `CascadeFinder`.
            passes: How often the network looks at each picture.

        Raises:
            ModelNotFoundError: There is no such model.
            ModelFormatError: The file is damaged, or of a format that does not run here.
            UnsupportedModelError: The model is no ELG network.
            InputError: `passes` is below 1.
            MissingExtraError: The default finder needs ``onepass[gaze]``.
        """
        finder = CascadeFinder() if finder is None else finder
        session = open_model(model)
        try:
            estimator = cls(session, finder, passes=passes)
        except BaseException:
            session.close()
            raise
        estimator._owns_session = True
        return estimator

    @property
    def session(self) -> Session:
        """The network."""
        return self._session

    def __call__(self, picture: Picture) -> list[Face]:
        """Return the faces in a picture; an empty list where there is none.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W].

        Raises:
            InputError: It is no such array, or an empty one.
        """
        return list(self.analyse(picture).faces)

    def analyse(self, picture: Picture) -> Analysis:
        """Return the faces together with the crops, every output of the last pass and the time of each stage.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W].

        Raises:
            InputError: It is no such array, or an empty one.
        """
        return self.analyse_many([picture])[0]

    def analyse_many(self, pictures: Iterable[Picture]) -> list[Analysis]:
        """Analyse several pictures, with the eyes of all of them in each pass of the network.

        Args:
            pictures: Each uint8, RGB [H, W, 3] or grey [H, W]; their sizes may differ.

        Returns:
            One analysis a picture, in order. The time that they spent together is split among them evenly.

        Raises:
            InputError: One is no such array, or an empty one.
        """
        clock = _Clock()
        checked = [check_picture(picture) for picture in pictures]
        with clock.stage("grey"):
            greys = [grey_from_picture(picture) for picture in checked]
        with clock.stage("faces"):
            found = [self._finder(grey) for grey in greys]
        sides, corners = _eyes_of([face for faces in found for face in faces])
        ends = np.cumsum([sum(len(face.sides) for face in faces) for faces in found]).tolist()
        parts = [slice(first, end) for first, end in zip([0, *ends], ends, strict=False)]
        crops, outputs, eyes = self._look(greys, parts, sides, corners, clock)
        for _ in range(1, self._passes if sides else 0):
            corners = _moved(corners, eyes)
            crops, outputs, eyes = self._look(greys, parts, sides, corners, clock)
        seconds = clock.shared_by(len(checked))
        return [
            Analysis(
                faces=_faces_of(faces, eyes[part]),
                crops=crops[part],
                outputs=Outputs({name: array[part] for name, array in outputs.items()}) if faces else None,
                passes=self._passes if faces else 0,
                seconds_by_stage=seconds,
            )
            for faces, part in zip(found, parts, strict=True)
        ]

    def _look(
        self, greys: list[Grey], parts: list[slice], sides: tuple[Side, ...], corners: FloatArray, clock: _Clock
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
            eyes = eyes_from_outputs(outputs, crops)
        return crops, outputs, eyes

    def close(self) -> None:
        """Close the session if this estimator opened it. Closing twice is allowed."""
        if self._owns_session:
            self._session.close()

    def __enter__(self) -> GazeEstimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Clock:
    """Adds up the time spent in named stages."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(("grey", "faces", "crops", "network", "decode"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block towards a stage."""
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start

    def shared_by(self, pictures: int) -> Mapping[str, float]:
        """Return the seconds of each stage for each of so many pictures, read-only."""
        return MappingProxyType({name: seconds / max(pictures, 1) for name, seconds in self._seconds.items()})


def _eyes_of(found: list[FoundFace]) -> tuple[tuple[Side, ...], FloatArray]:
    """Return the side and the corners [N, 2, 2] of every eye, face by face, the right eye first."""
    corners = [face_corners for face in found for face_corners in (face.right, face.left) if face_corners is not None]
    sides = tuple(side for face in found for side in face.sides)
    return sides, np.array(corners, np.float64).reshape(-1, 2, 2)


def _moved(corners: FloatArray, eyes: list[Eye]) -> FloatArray:
    """Return the corners [N, 2, 2] that the network found, or the former ones where it went too far."""
    found = np.array([[eye.nasal_corner, eye.temporal_corner] for eye in eyes])
    moves = np.linalg.norm(found - corners, axis=2).max(axis=1)
    distances = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    near = moves <= _MAX_MOVE * distances
    return np.where(near[:, None, None], found, corners)


def _faces_of(found: list[FoundFace], eyes: list[Eye]) -> tuple[Face, ...]:
    """Give every face its eyes back."""
    rest = iter(eyes)
    return tuple(Face(face.box, tuple(next(rest) for _ in face.sides)) for face in found)
