"""From a picture to faces with eyes and gaze: find faces, cut eyes, one pass over all of them, read the outputs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt

from onepass._errors import InputError
from onepass.gaze.analysis import Analysis, Clock
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


class GazeEstimator:
    """Eyelids, irises and gaze of every face in a picture.

    Example::

        with GazeEstimator.from_default() as estimator:
            for face in estimator(picture):
                print(face.gaze.pitch_deg, face.gaze.yaw_deg)

    A face finder gives the corners of the eyes only roughly, so the network looks more than once: each pass cuts the
    crops anew between the corners that the pass before found. One pass always holds all eyes of the picture. Where
    corners are off by a tenth of the eye, two looks at one eye differ by 5 degrees after one pass, by 3 after two.

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
        self._passes = _checked_passes(passes)
        self._size_px = crop_size_px(session.signature)
        self._session = session
        self._finder = finder
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

    @property
    def finder(self) -> FaceFinder:
        """What finds faces."""
        return self._finder

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

    def analyse_many(self, pictures: Sequence[Picture]) -> list[Analysis]:
        """Analyse several pictures, of any sizes, with the eyes of all of them in each pass.

        Args:
            pictures: Each uint8, RGB [H, W, 3] or grey [H, W].

        Returns:
            One analysis a picture, in order. The time of a pass is shared out by the number of eyes.

        Raises:
            InputError: One of them is no such array, or an empty one.
        """
        views = []
        for picture in pictures:
            view = _View.of(picture)
            with view.clock.stage("faces"):
                view.show(self._finder(view.grey))
            views.append(view)
        return self._looked(views, self._passes)

    def look(self, picture: Picture, found: Sequence[FoundFace], *, passes: int | None = None) -> Analysis:
        """Analyse a picture whose faces are known, without the finder.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W].
            found: The faces, in the order in which they come back.
            passes: How often the network looks; None for as often as it does otherwise. One pass is enough where the
                corners are good, as those of the frame before are.

        Raises:
            InputError: It is no such array, or an empty one, or `passes` is below 1.
        """
        view = _View.of(picture)
        view.show(found)
        return self._looked([view], self._passes if passes is None else _checked_passes(passes))[0]

    def _looked(self, views: Sequence[_View], passes: int) -> list[Analysis]:
        """Let the network look at all eyes of all views, as often as asked."""
        count = passes if any(view.sides for view in views) else 0
        seen: list[_Seen] = []
        for _ in range(count):
            for view, before in zip(views, seen, strict=False):
                view.corners = _moved(view.corners, before.eyes)
            seen = self._one_pass(views)
        if not seen:
            seen = [_Seen(cut_eyes(view.grey, view.corners, view.sides, self._size_px), None, []) for view in views]
        return [
            Analysis(
                _faces_of(view.found, last.eyes),
                last.crops,
                last.outputs,
                count if view.sides else 0,
                view.clock.seconds_by_stage,
            )
            for view, last in zip(views, seen, strict=True)
        ]

    def _one_pass(self, views: Sequence[_View]) -> list[_Seen]:
        """Cut all eyes, run them through the network in one pass, and read its outputs."""
        crops, batches = [], []
        for view in views:
            with view.clock.stage("crops"):
                crops.append(cut_eyes(view.grey, view.corners, view.sides, self._size_px))
                batches.append(crops[-1].batch())
        start = time.perf_counter()
        outputs = self._session({INPUT: batches[0] if len(batches) == 1 else np.concatenate(batches)})
        seconds_per_eye = (time.perf_counter() - start) / sum(map(len, crops))
        seen, first = [], 0
        for view, cut in zip(views, crops, strict=True):
            view.clock.add("network", seconds_per_eye * len(cut))
            with view.clock.stage("decode"):
                own = Outputs({name: array[first : first + len(cut)] for name, array in outputs.items()})
                seen.append(_Seen(cut, own if len(cut) else None, eyes_from_outputs(own, cut)))
            first += len(cut)
        return seen

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


@dataclass(slots=True, eq=False)
class _View:
    """A picture on its way through the passes."""

    grey: Grey
    clock: Clock
    found: Sequence[FoundFace] = ()
    sides: tuple[Side, ...] = ()
    corners: FloatArray = field(default_factory=lambda: np.empty((0, 2, 2)))

    @classmethod
    def of(cls, picture: Picture) -> _View:
        clock = Clock()
        picture = check_picture(picture)
        with clock.stage("grey"):
            grey = grey_from_picture(picture)
        return cls(grey, clock)

    def show(self, found: Sequence[FoundFace]) -> None:
        """Say which faces are in the picture."""
        self.found = found
        self.sides, self.corners = _eyes_of(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one pass saw in one picture; no outputs where it has no eyes."""

    crops: EyeCrops
    outputs: Outputs | None
    eyes: list[Eye]


def _checked_passes(passes: int) -> int:
    if passes < 1:
        raise InputError(f"passes must be at least 1, got {passes}")
    return passes


def _eyes_of(found: Sequence[FoundFace]) -> tuple[tuple[Side, ...], FloatArray]:
    """Return the side and the corners [N, 2, 2] of every eye, face by face, the right eye first."""
    sides: list[Side] = []
    corners: list[npt.NDArray[np.float64]] = []
    for face in found:
        if face.right is not None:
            sides.append("right")
            corners.append(face.right)
        if face.left is not None:
            sides.append("left")
            corners.append(face.left)
    return tuple(sides), np.array(corners, np.float64).reshape(-1, 2, 2)


def _moved(corners: FloatArray, eyes: list[Eye]) -> FloatArray:
    """Return the corners [N, 2, 2] that the network found, or the former ones where it went too far."""
    found = np.array([[eye.nasal_corner, eye.temporal_corner] for eye in eyes]).reshape(-1, 2, 2)
    moves = np.linalg.norm(found - corners, axis=2).max(axis=1)
    distances = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    near = moves <= _MAX_MOVE * distances
    return np.where(near[:, None, None], found, corners)


def _faces_of(found: Sequence[FoundFace], eyes: list[Eye]) -> tuple[Face, ...]:
    """Give every face its eyes back."""
    rest = iter(eyes)
    counts = [(face.right is not None) + (face.left is not None) for face in found]
    return tuple(
        Face(face.box, tuple(next(rest) for _ in range(count))) for face, count in zip(found, counts, strict=True)
    )
