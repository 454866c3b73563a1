"""Faces through a video: found now and then, followed in between, with numbers that stay theirs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from onepass._errors import InputError
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.eyes import grey_from_picture
from onepass.gaze.find.faces import FaceFollower, FoundFace
from onepass.gaze.geometry import Grey
from onepass.gaze.result import Box, Face
from onepass.gaze.stream import StreamResult, stream_frames
from onepass.gaze.video._tracks import Track, assign, without_doubles
from onepass.gaze.video.smoothing import Smoothing
from onepass.media import Frame, Picture, check_picture

DETECT_EVERY = 10
"""Frames from one search for faces to the next."""

FOLLOW_EVERY = 5
"""Frames from one look at how heads are turned to the next."""

_SMOOTHING = Smoothing()
# Crops that were placed better than this, in corner distances, need no other look, of which there are so many at most.
_STILL = 0.03
_MORE_LOOKS = 2
# For so long a face that was lost keeps its number.
_MEMORY_SECONDS = 1.0
_USUAL_FPS = 30.0


class GazeTracker:
    """Faces of a video, frame by frame: the estimator with a memory.

    Faces are looked for in every n-th frame, and at once when one was lost; not while as many as are wanted are
    followed by a finder that can do so (`FaceFollower`: the mesh). In between the corners that the network saw in one
    frame, moved on as the face moves, place the crops of the next. One pass is mostly enough; where the face went
    elsewhere, the network looks again, twice at most. Faces keep their `Face.id`. Points, gaze and head are smoothed,
    and an eye that blinks keeps the gaze it had (`onepass.gaze.video.smoothing`).

    Example::

        with GazeEstimator.from_default() as estimator:
            tracker = GazeTracker(estimator)
            for seconds, picture in frames:
                faces = tracker(picture, seconds)

    One tracker is for one video and for one thread; several may share an estimator.
    """

    def __init__(
        self,
        estimator: GazeEstimator,
        *,
        every: int = DETECT_EVERY,
        follow_every: int = FOLLOW_EVERY,
        max_faces: int | None = None,
        smoothing: Smoothing | None = _SMOOTHING,
    ) -> None:
        """Start with no faces.

        Args:
            estimator: What finds and reads faces. It stays the caller's.
            every: Faces are looked for in every n-th frame, at least 1.
            follow_every: A finder that can follow faces is asked in every n-th frame how heads are turned, at least 1.
                The network alone follows the eyes, in every frame.
            max_faces: Follow only that many: those that are followed already, then the largest; None follows all.
            smoothing: How strongly to smooth; None leaves everything as it was seen, but for the gaze of a blink.

        Raises:
            InputError: A number is below 1.
        """
        for name, number in {"every": every, "follow_every": follow_every, "max_faces": max_faces}.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        self._estimator = estimator
        # Asked once: in every frame it would be felt.
        self._follower = estimator.finder if isinstance(estimator.finder, FaceFollower) else None
        self._every = every
        self._follow_every = follow_every
        self._max_faces = max_faces
        self._smoothing = smoothing
        self.reset()

    def reset(self) -> None:
        """Forget all faces, as for another video; numbers start at 0 again."""
        self._tracks: list[Track] = []
        self._lost: list[_Lost] = []
        self._next_id = 0
        self._frames_to_search = 0
        self._seconds = -np.inf
        self._before: Grey | None = None

    def __call__(self, picture: Picture, time_seconds: float) -> list[Face]:
        """Return the faces in the next frame, by their numbers.

        Args:
            picture: uint8, RGB [H, W, 3] or grey [H, W]. In a frame of another size than the last one's, all faces
                are new.
            time_seconds: When it was taken, not before the last one.

        Raises:
            InputError: It is no such picture, or its time is no number or before the last one's.
        """
        grey = grey_from_picture(check_picture(picture))
        if not self._seconds <= time_seconds < np.inf:
            raise InputError(
                f"frames must come in the order of their times, got {time_seconds} seconds after {self._seconds}; "
                "call reset() before another video"
            )
        if self._before is not None:
            if self._before.shape != grey.shape:
                self._tracks, self._lost, self._frames_to_search = [], [], 0
            for track in self._tracks:
                track.predict(self._before, grey)
        # A grey picture is its caller's own, who may put the next one there.
        self._seconds, self._before = time_seconds, grey.copy() if picture.ndim == 2 else grey
        if self._frames_to_search <= 0 and not self._is_complete():
            self._search(grey)
        elif (self._every - self._frames_to_search) % self._follow_every == 0:
            self._follow(grey, self._tracks)
        self._frames_to_search -= 1
        seen, moves = self._look(grey)
        for _ in range(_MORE_LOOKS):
            if max(moves, default=0.0) <= _STILL and not any(track.needs_another_look for track in self._tracks):
                break
            seen, moves = self._look(grey)
        faces = {
            track.id: self._estimator.on_screen(track.shown(face, time_seconds), grey.shape)
            for track, face in zip(self._tracks, seen, strict=True)
        }
        self._drop_lost(grey.shape)
        return [faces[track.id] for track in self._tracks]

    def stream(
        self, frames: Iterable[Frame | Picture], *, newest: bool | None = None
    ) -> Generator[StreamResult, None, None]:
        """Follow faces from frame to frame, while the next are read and the caller is busy with the last.

        Args:
            frames: A source of `onepass.media`, or any frames or pictures. They are read in a thread of their own.
                Those that have no time are taken to be a thirtieth of a second apart.
            newest: Whether frames that come while there is no time for them are left out, so that the results never
                lag behind; None for what the source calls for: a camera yes, a video no.

        Yields:
            One result a frame, in order. Close the iterator (`contextlib.closing`), or use it up, to end its threads.

        Raises:
            OnepassError: What the source or the tracker raised, after the results of all frames before.
        """

        def faces_of(taken: list[Frame]) -> list[list[Face]]:
            return [
                self(frame.picture, frame.index / _USUAL_FPS if frame.seconds is None else frame.seconds)
                for frame in taken
            ]

        return stream_frames(frames, faces_of, newest=newest)

    def _look(self, grey: Grey) -> tuple[tuple[Face, ...], list[float]]:
        """Let the network look at all faces; return them, and how far off their crops were."""
        seen = self._estimator.look(grey, [track.found for track in self._tracks], passes=1).faces
        return seen, [track.follow(face, self._seconds) for track, face in zip(self._tracks, seen, strict=True)]

    def _is_complete(self) -> bool:
        """Whether a search would tell nothing new: all the faces that are wanted are followed by the finder itself."""
        return (
            self._max_faces is not None
            and len(self._tracks) >= self._max_faces
            and self._follower is not None
            and all(track.is_followed and not track.is_doubtful for track in self._tracks)
        )

    def _search(self, grey: Grey) -> None:
        """Look for faces, correct those that are known, and add new ones."""
        self._frames_to_search = self._every
        found = self._estimator.finder(grey)
        matches = assign([track.box for track in self._tracks], [face.box for face in found])
        for mine, other in matches:
            self._tracks[mine].correct(found[other], self._seconds)
        self._follow(grey, self._unmatched({mine for mine, _ in matches}))
        known = {other for _, other in matches}
        new = [face for index, face in enumerate(found) if index not in known]
        if self._max_faces is not None:
            new.sort(key=lambda face: -face.box.area_px)
            new = new[: max(0, self._max_faces - len(self._tracks))]
        self._add(new)

    def _unmatched(self, matched: set[int]) -> list[Track]:
        """Return the tracks that the finder does not see; let go of those that the network did not see either."""
        missed = [track for index, track in enumerate(self._tracks) if index not in matched]
        self._lose([track for track in missed if track.is_doubtful])
        return [track for track in missed if not track.is_doubtful]

    def _lose(self, tracks: Sequence[Track]) -> None:
        """Let go of tracks, and remember for a while where they were."""
        self._lost += [_Lost(track.id, track.box, self._seconds) for track in tracks]
        self._tracks = [track for track in self._tracks if track not in tracks]

    def _add(self, new: Sequence[FoundFace]) -> None:
        """Follow new faces, under the numbers of those that were lost at their places a moment ago."""
        self._lost = [lost for lost in self._lost if self._seconds - lost.seconds <= _MEMORY_SECONDS]
        matches = assign([lost.box for lost in self._lost], [face.box for face in new])
        numbers = {other: self._lost[mine].id for mine, other in matches}
        for index, face in enumerate(new):
            if index not in numbers:
                numbers[index] = self._next_id
                self._next_id += 1
            self._tracks.append(Track(numbers[index], face, self._smoothing, self._seconds))
        self._lost = [lost for lost in self._lost if lost.id not in numbers.values()]
        self._tracks.sort(key=lambda track: track.id)

    def _follow(self, grey: Grey, tracks: Sequence[Track]) -> None:
        """Ask a finder that can follow faces where they are now."""
        if self._follower is not None:
            seen = self._follower.follow(grey, [track.found for track in tracks])
            for track, found in zip(tracks, seen, strict=True):
                if found is None:
                    track.forget_head()
                else:
                    track.correct(found, self._seconds)

    def _drop_lost(self, shape: tuple[int, ...]) -> None:
        """Let go of faces whose eyes are gone; where one is not seen clearly, look for faces in the next frame."""
        before = len(self._tracks)
        for track in self._tracks:
            track.drop_eyes(self._seconds, shape)
        self._lose([track for track in self._tracks if not track.corners])
        self._tracks = without_doubles(self._tracks)
        if len(self._tracks) < before or any(track.is_doubtful for track in self._tracks):
            self._frames_to_search = 0


@dataclass(frozen=True, slots=True)
class _Lost:
    """A face that was followed until then."""

    id: int
    box: Box
    seconds: float
